//! The ordered lists of what each part installs. Load order matters only for what is checked when it is
//! created (SQL-language functions, views, defaults); the folders are numbered by it.

/// One installable part.
pub(crate) struct Part {
    pub(crate) title: &'static str,
    /// Fails with a sentence when a prerequisite lacks, and creates what the migrations stand on.
    pub(crate) guard: &'static str,
    pub(crate) migrations: &'static [(&'static str, &'static str)],
    pub(crate) objects: &'static [(&'static str, &'static str)],
}

/// Names and texts of files below a folder of this crate.
macro_rules! files {
    ($folder:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../", $folder, "/", $name, ".sql")))),*]
    };
}

pub(crate) const CLIENT: Part = Part {
    title: "client and common part",
    guard: include_str!("../objects/client/00_guard.sql"),
    migrations: files!("migrations": "0001_client"),
    objects: files!("objects/client":
        "10_common/10_lock_class",
        "10_common/20_client_only",
        "10_common/30_task_execution_state",
        "20_conninfo/10_decode_percent",
        "20_conninfo/20_parse_conninfo_pairs",
        "20_conninfo/30_parse_conninfo_uri",
        "20_conninfo/40_parse_conninfo",
        "20_conninfo/50_extend_conninfo",
        "20_conninfo/60_mask_connection_string",
        "20_conninfo/70_check_connection_string",
        "30_server/10_server_connection",
        "30_server/20_forward",
        "30_server/30_masked_server",
        "30_server/40_set_server",
        "30_server/50_server",
        "30_server/60_configure",
        "40_push/10_task",
        "40_push/20_forward_push",
        "40_push/30_push_tasks",
        "40_push/40_push_task",
        "50_requests/10_forward_finish",
        "50_requests/20_finish_duration",
        "50_requests/30_finish",
        "50_requests/40_cancel",
        "50_requests/50_defer",
        "50_requests/60_restart_task",
        "60_pull/10_forward_get_tasks",
        "60_pull/20_get_tasks",
        "60_pull/30_wait_for_latch",
        "90_permissions/10_change_privileges",
        "90_permissions/20_grant_client",
        "90_permissions/30_revoke_client",
        "90_permissions/40_grant_admin",
        "90_permissions/50_revoke_admin",
        "95_install/10_bind_dblink",
        "95_install/20_restore_privileges",
        "99_finish",
    ),
};

pub(crate) const SERVER: Part = Part {
    title: "server part",
    guard: include_str!("../objects/server/00_guard.sql"),
    migrations: files!("migrations": "0001_server"),
    objects: files!("objects/server":
        "10_log/10_log_quiet",
        "10_log/20_log_level",
        "10_log/30_log",
        "10_log/40_tail_once",
        "10_log/50_tail",
        "40_configure/10_configuration_keys",
        "40_configure/20_refuse_configuration",
        "40_configure/30_check_setting",
        "40_configure/40_check_section",
        "40_configure/50_check_entries",
        "40_configure/55_merge_self_setting",
        "40_configure/60_check_targets",
        "40_configure/70_apply_control",
        "40_configure/80_apply_targets",
        "40_configure/90_apply_pools",
        "40_configure/95_apply_configuration",
        "50_clients/10_wake_leader",
        "50_clients/20_someone_leads",
        "50_clients/30_is_usable_duration",
        "50_clients/40_resolve_target",
        "50_clients/50_prepare_push",
        "50_clients/60_request_finish",
        "50_clients/70_prepare_restart",
        "50_clients/80_take_offers",
        "50_clients/90_await_latch",
        "50_clients/91_routine_call",
        "50_clients/92_push_routine",
        "50_clients/93_set_concurrency_pool_tracker",
        "50_clients/94_active_workers",
        "50_clients/95_worker_info",
        "50_clients/96_interval_pretty",
        "80_views/10_v_target",
        "80_views/20_v_unfinished_task",
        "80_views/30_v_target_status",
        "80_views/40_v_candidate_task",
        "90_permissions/90_finish",
    ),
};

pub(crate) const UI: Part = Part {
    title: "administrator's views",
    guard: include_str!("../objects/ui/00_guard.sql"),
    migrations: &[],
    objects: files!("objects/ui":
        "10_v_worker_info",
        "20_v_concurrency_pool_info",
        "30_v_server_info",
        "90_finish",
    ),
};

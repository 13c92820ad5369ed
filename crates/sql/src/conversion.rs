//! The conversion of a schema that the library with the same names created.

use crate::objects::files;

/// For a client database and a server.
const BOTH: &[(&str, &str)] = files!("conversion": "check_form");
/// For a server.
const SERVER_CHECK: &[(&str, &str)] = files!("conversion": "check_orchestrator");
const BOTH_THEN: &[(&str, &str)] = files!("conversion": "drop_routines", "client");
const SERVER: &[(&str, &str)] = files!("conversion": "server_tables", "tasks", "configuration");
const END: &[(&str, &str)] = files!("conversion": "note");

/// One statement that changes the tables of the library into those of the first migrations, and notes
/// these as applied. It does nothing if the schema does not exist, or is that of pgasync.
pub(crate) fn conversion() -> String {
    let mut script = String::from(
        "\n-- conversion\ndo $conversion$\ndeclare\n  v_server constant bool := to_regclass('async.control') is not null;\n\
         begin\n  if to_regclass('async.client_control') is null or to_regclass('async.migration') is not null then\n    \
         return;\n  end if;\n",
    );
    for (steps, of_server) in [(BOTH, false), (SERVER_CHECK, true), (BOTH_THEN, false), (SERVER, true), (END, false)] {
        for (name, sql) in steps {
            debug_assert!(!sql.contains("$step$") && !sql.contains("$conversion$"), "{name}");
            let condition = if of_server { "  if v_server then\n" } else { "" };
            let end = if of_server { "  end if;\n" } else { "" };
            script.push_str(&format!("\n  -- {name}\n{condition}  execute $step$\n{sql}$step$;\n{end}"));
        }
    }
    script.push_str("end\n$conversion$;\n");
    script
}

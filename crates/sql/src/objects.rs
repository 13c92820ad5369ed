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
    ),
};

pub(crate) const SERVER: Part = Part {
    title: "server part",
    guard: include_str!("../objects/server/00_guard.sql"),
    migrations: files!("migrations": "0001_server"),
    objects: files!("objects/server":
    ),
};

pub(crate) const UI: Part = Part {
    title: "administrator's views",
    guard: include_str!("../objects/ui/00_guard.sql"),
    migrations: &[],
    objects: files!("objects/ui":
    ),
};

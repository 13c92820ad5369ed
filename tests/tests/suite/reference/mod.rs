//! The pages below `docs/reference` say what the catalog of a new installation says.
//!
//! `./dev reference` writes them: it runs [`the_reference_is_that_of_the_catalog`] with
//! `PGASYNC_REFERENCE=write`.

mod catalog;
mod render;

use std::env;
use std::fs;
use std::path::Path;

use self::catalog::Catalog;

#[tokio::test]
async fn the_reference_is_that_of_the_catalog() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference");
    let catalog = Catalog::read().await;
    for (name, text) in render::pages(&catalog) {
        let path = folder.join(name);
        if env::var_os("PGASYNC_REFERENCE").is_some_and(|value| value == "write") {
            fs::create_dir_all(&folder).and_then(|()| fs::write(&path, &text)).expect("the page can be written");
        }
        let page = fs::read_to_string(&path).unwrap_or_default();
        let differs = page.lines().zip(text.lines()).position(|(is, should)| is != should);
        let line = differs.unwrap_or_else(|| page.lines().count().min(text.lines().count()));
        assert!(
            page == text,
            "docs/reference/{name} differs from the catalog at line {}: run ./dev reference\nthe page:    {}\nthe catalog: {}",
            line + 1,
            page.lines().nth(line).unwrap_or("(ends)"),
            text.lines().nth(line).unwrap_or("(ends)"),
        );
    }
}

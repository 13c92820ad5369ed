//! The diagram in the documentation equals the one that the transitions generate.

use pgasync_core::state_diagram;

#[test]
fn the_state_diagram_is_current() {
    let page = include_str!("../../STATES.md");
    let drawing = format!("```mermaid\n{}```\n", state_diagram());
    assert!(page.contains(&drawing), "crates/core/STATES.md is stale; its drawing should be:\n{drawing}");
}

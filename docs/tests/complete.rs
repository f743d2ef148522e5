//! The tables in the guides are complete: every counter, log event, event and field of the configuration that the code
//! has is named there.

use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The public fields of `name` in a source file.
fn fields(source: &str, name: &str) -> Vec<String> {
    let (_, body) = source.split_once(&format!("pub struct {name} {{")).expect("the struct is in this file");
    let (body, _) = body.split_once("\n}").expect("it ends");
    let fields = body.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':'));
    fields.map(|(field, _)| field.to_owned()).collect()
}

/// The names that stand in backquotes in a guide.
fn assert_named(guide: &str, names: &[String], least: usize) {
    assert!(names.len() >= least, "only {} names were found: {names:?}", names.len());
    let text = read(guide);
    let missing: Vec<_> = names.iter().filter(|name| !text.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "{guide} does not name {missing:?}");
}

#[test]
fn every_counter_is_explained() {
    assert_named("operations.md", &fields(&read("../swim-core/src/stats.rs"), "Stats"), 60);
    assert_named("operations.md", &fields(&read("../swim-core/src/node/mod.rs"), "Summary"), 10);
    assert_named("operations.md", &fields(&read("../swim-driver/src/shared.rs"), "IoStats"), 4);
}

#[test]
fn every_log_event_is_listed() {
    let source = read("../swim-core/src/log.rs");
    let rows = source.lines().filter_map(|line| line.strip_prefix("//! | `"));
    let names: Vec<_> = rows
        .filter_map(|row| row.split_once(" | "))
        .flat_map(|(names, _)| names.split('`').filter(|name| name.contains('_') || name.len() > 4))
        .map(str::to_owned)
        .collect();
    assert_named("operations.md", &names, 30);
}

#[test]
fn every_field_of_the_configuration_is_in_a_table() {
    assert_named("embedding.md", &fields(&read("../swim-core/src/swim/config.rs"), "Config"), 15);
    assert_named("embedding.md", &fields(&read("../swim-core/src/serf/config.rs"), "Config"), 25);
}

#[test]
fn every_event_is_explained() {
    let source = read("../swim-core/src/serf/event.rs");
    let (_, body) = source.split_once("pub enum Event {").expect("the enum is in this file");
    let (body, _) = body.split_once("\n}").expect("it ends");
    let variants =
        body.lines().filter_map(|line| line.strip_prefix("    ")).filter(|line| line.starts_with(char::is_uppercase));
    let names: Vec<_> = variants.map(|line| line.trim_end_matches([' ', '{', ',']).to_owned()).collect();
    // `Member` stands there with its kind.
    let text = read("embedding.md");
    assert!(names.len() >= 8, "{names:?}");
    for name in names {
        assert!(text.contains(&format!("| `{name}` |")) || text.contains(&format!("| `{name} {{ ")), "{name}");
    }
}

//! Snapshot files, line by line.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

use crate::serf::snapshot::{LINE_SHOWN_MAX, Record, Restored};
use crate::{Config, Instant, Node};

/// Reads the input as a snapshot, writes it again, and has a node find its cluster by it.
///
/// # Panics
///
/// When a line that was understood reads differently once it is written; when the file says something else after it was
/// written anew; when a complaint is longer than a line of a log; when a node does not remember whom it was told of.
///
/// # Examples
///
/// ```
/// swim_core::fuzzing::snapshot::run(b"alive: web-1 10.0.0.7:7946\nclock: 12\nleave\nnot-alive: web-1\n");
/// ```
pub fn run(file: &[u8]) {
    let mut records = Vec::new();
    for line in file.split(|byte| *byte == b'\n') {
        match Record::parse_line(line) {
            Ok(Some(record)) => records.push(record),
            Ok(None) => {}
            Err(error) => {
                let text = error.to_string();
                assert!(text.len() <= COMPLAINT_MAX && !text.contains('\n'), "{} bytes: {text}", text.len());
            }
        }
    }
    let mut written = Vec::new();
    for record in &records {
        let start = written.len();
        record.write_line(&mut written);
        let line = written[start..].strip_suffix(b"\n").expect("a line was read, so a line is written");
        assert_eq!(Record::parse_line(line), Ok(Some(record.clone())), "{}", line.escape_ascii());
    }
    for rejoin_after_leave in [false, true] {
        let restored = restored(records.iter(), rejoin_after_leave);
        let again: Vec<_> =
            written.split(|byte| *byte == b'\n').filter_map(|line| Record::parse_line(line).ok()?).collect();
        assert_eq!(self::restored(again.iter(), rejoin_after_leave), restored);
    }
    remember(&records);
}

fn restored<'a>(records: impl Iterator<Item = &'a Record<'a>>, rejoin_after_leave: bool) -> Restored {
    let mut restored = Restored::default();
    for record in records {
        restored.apply(record, rejoin_after_leave);
    }
    restored
}

/// What a node that was told all this says when its file is written anew: nobody is forgotten who has not been met.
fn remember(records: &[Record<'_>]) {
    let now = Instant::after_origin(Duration::from_secs(1));
    let mut config = Config::lan(LOCAL, ([127, 0, 0, 1], 7946).into());
    config.serf.snapshot = true;
    let rejoin_after_leave = config.serf.rejoin_after_leave;
    let mut node = Node::new(config, [7; 32], now).expect("the configuration is a preset");
    node.restore(now, records);
    node.check();
    let mut told = restored(records.iter(), rejoin_after_leave);
    let mut said = restored(node.records().collect::<Vec<_>>().iter(), rejoin_after_leave);
    // Where it is itself it knows better.
    told.alive.remove(LOCAL.as_bytes());
    said.alive.remove(LOCAL.as_bytes());
    assert_eq!(said.alive, told.alive);
    assert!(node.poll_timeout().is_some_and(|due| due >= now), "a member always probes, and never in the past");
}

const LOCAL: &str = "local";
/// What is wrong, and the beginning of the line; no byte takes more than six characters to be shown.
const COMPLAINT_MAX: usize = 40 + 6 * LINE_SHOWN_MAX;

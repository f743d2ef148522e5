//! Either program finds its cluster again by the snapshot that the other one has written in its place.

use crate::harness::{Agent, Kind, secs, wait_status, wait_until, wait_whole};

const PATH: &str = "snapshot";

/// One agent that stays, and one of kind `writer` with a snapshot, which knows the first one.
fn written(writer: Kind, args: &[&str]) -> [Agent; 2] {
    let stays = Agent::start(writer, "stays", &["-profile=local"]);
    let snapshot = format!("-snapshot={PATH}");
    let moves = Agent::start(writer, "moves", &[&["-profile=local", &snapshot], args].concat());
    moves.join(&stays);
    wait_whole(&[&stays, &moves], secs(15));
    wait_until("the snapshot names both", secs(10), || {
        if writer == Kind::Serf {
            // It flushes only when there is news, and half a second after the last time.
            moves.ask(Kind::Serf, "event", &["news"]);
        }
        let text = moves.file(PATH);
        let lines = [&stays, &moves].map(|agent| format!("alive: {} {}\n", agent.name, agent.bind));
        if lines.iter().all(|line| text.contains(line)) { Ok(()) } else { Err(text) }
    });
    [stays, moves]
}

/// It is killed, and the other program starts in its place with its snapshot and no seed.
fn taken_over(writer: Kind) {
    let [stays, mut moves] = written(writer, &[]);
    moves.kill();
    wait_status(&stays, "moves", "failed", secs(30));
    moves.restart_as(writer.other());
    wait_whole(&[&stays, &moves], secs(20));
    // And what it appends can be read by the first one again.
    moves.kill();
    wait_status(&stays, "moves", "failed", secs(30));
    moves.restart_as(writer);
    wait_whole(&[&stays, &moves], secs(20));
}

#[test]
fn swim_reads_what_serf_wrote() {
    taken_over(Kind::Serf);
}

#[test]
fn serf_reads_what_swim_wrote() {
    taken_over(Kind::Swim);
}

/// A goodbye is respected by the other program, unless it is told to come back all the same.
fn after_a_leave(writer: Kind, rejoin: bool) {
    let args: &[&str] = if rejoin { &["-rejoin"] } else { &[] };
    let [stays, mut moves] = written(writer, args);
    moves.signal("INT");
    moves.wait_exit(secs(20));
    wait_status(&stays, "moves", "left", secs(20));
    let text = moves.file(PATH);
    assert!(text.lines().any(|line| line == "leave"), "{text}");
    moves.restart_as(writer.other());
    if rejoin {
        wait_whole(&[&stays, &moves], secs(20));
        return;
    }
    std::thread::sleep(secs(3));
    let members = moves.members().expect("nothing changes there");
    assert_eq!(members.status("stays"), "none", "{members:?}");
    assert_eq!(stays.members().expect("nothing changes there").status("moves"), "left");
}

#[test]
fn a_leave_of_serf_is_respected() {
    after_a_leave(Kind::Serf, false);
}

#[test]
fn a_leave_of_swim_is_respected() {
    after_a_leave(Kind::Swim, false);
}

#[test]
fn back_after_a_leave_of_serf() {
    after_a_leave(Kind::Serf, true);
}

#[test]
fn back_after_a_leave_of_swim() {
    after_a_leave(Kind::Swim, true);
}

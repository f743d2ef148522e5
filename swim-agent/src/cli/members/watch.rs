//! `members -watch`: the list, and again whenever it has changed.

use core::time::Duration;
use std::io::{IsTerminal, stdout};
use std::process::ExitCode;

use crate::cli::connection::connect;
use crate::cli::flags::Parsed;
use crate::cli::format::{json_line, wants_json};
use crate::cli::interrupt::exit_on_interrupt;
use crate::cli::members::{Members, printable_members, text};
use crate::cli::{Failure, say};
use crate::rpc::client::{Client, ClientError, Stream};
use crate::rpc::messages::Member;

/// How lists are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// Each in the place of the one before.
    Screen,
    /// One after the other, each under a line with the time.
    Appended,
    /// Each a line.
    Json,
}

/// Shows what `ask` gets until the agent ends, somebody interrupts, or nobody reads on.
pub(super) fn watch(
    parsed: &Parsed,
    ask: impl Fn(&mut Client<Box<dyn Stream>>) -> Result<Vec<Member>, ClientError>,
) -> Result<ExitCode, Failure> {
    let style = match wants_json(parsed)? {
        true => Style::Json,
        false if stdout().is_terminal() => Style::Screen,
        false => Style::Appended,
    };
    let mut client = connect(parsed)?;
    exit_on_interrupt(0, None);
    let failed = |what: &'static str| move |error| Failure::Message(format!("Error {what}: {error}"));
    client.set_patience(PATIENCE).map_err(failed("watching members"))?;
    client.stream(MEMBER_EVENTS).map_err(failed("starting stream"))?;
    let mut last = None;
    loop {
        let list = render(style, ask(&mut client).map_err(failed("retrieving members"))?, parsed.is_on("detailed"))?;
        if last.as_ref() != Some(&list) {
            let time = jiff::Zoned::now().strftime("%Y/%m/%d %H:%M:%S").to_string();
            if !say(&page(style, &time, &list)) {
                // The rest of a pipe has ended. Nothing else would end us.
                return Ok(ExitCode::FAILURE);
            }
            last = Some(list);
        }
        wait(&mut client).map_err(failed("watching members"))?;
        if reader_is_gone() {
            return Ok(ExitCode::FAILURE);
        }
    }
}

/// One list. In order of names: an agent may give any other each time.
fn render(style: Style, mut members: Vec<Member>, detailed: bool) -> Result<String, Failure> {
    members.sort_by(|a, b| a.name.cmp(&b.name));
    match style {
        Style::Json => json_line(&Members::new(&members)),
        Style::Appended => Ok(text(&members, detailed).trim().to_owned()),
        Style::Screen => Ok(text(&printable_members(&members), detailed).trim().to_owned()),
    }
}

/// What is printed for a list.
fn page(style: Style, time: &str, list: &str) -> String {
    match style {
        Style::Json => list.to_owned(),
        Style::Appended => format!("==> {time}\n{list}\n"),
        Style::Screen => format!("{CLEAR}==> {time}, Ctrl-C ends\n\n{list}"),
    }
}

/// Waits until the list may have changed.
fn wait(client: &mut Client<Box<dyn Stream>>) -> Result<(), ClientError> {
    if client.record_within(POLL_EVERY, PATIENCE)?.is_none() {
        return Ok(());
    }
    // What comes together is shown together.
    for _ in 0..SETTLE_MAX {
        if client.record_within(SETTLE, PATIENCE)?.is_none() {
            break;
        }
    }
    Ok(())
}

/// Whether what is printed goes nowhere: without a look, a quiet cluster would never show it.
#[cfg(unix)]
fn reader_is_gone() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdout = stdout();
    let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut polled, Some(&now)).is_ok() && polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

#[cfg(not(unix))]
fn reader_is_gone() -> bool {
    false
}

const MEMBER_EVENTS: &str = "member-join,member-leave,member-failed,member-update,member-reap";
/// How often the list is asked for although nothing is known to have happened: not every change is an event.
const POLL_EVERY: Duration = Duration::from_secs(5);
/// Of several events, one that comes so soon after another belongs to it.
const SETTLE: Duration = Duration::from_millis(100);
/// Then the list is shown though events go on.
const SETTLE_MAX: usize = 1000;
/// An agent that does not answer for so long is taken for gone. Serf's takes six seconds to prune a member.
const PATIENCE: Duration = Duration::from_secs(30);
/// To the top left, and nothing from there on.
const CLEAR: &str = "\x1b[H\x1b[J";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn member(name: &str, tag: &str) -> Member {
        Member {
            name: name.into(),
            address: Some(([127, 0, 0, 1], 7946).into()),
            port: 7946,
            tags: BTreeMap::from([("k".to_owned(), tag.to_owned())]),
            status: "alive".into(),
            versions: (2, 5, 5),
        }
    }

    #[test]
    fn lists_differ_only_when_members_do() {
        let (a, b) = (member("a", "1"), member("b", "2"));
        for style in [Style::Screen, Style::Appended, Style::Json] {
            let one = render(style, vec![a.clone(), b.clone()], false).unwrap();
            assert_eq!(one, render(style, vec![b.clone(), a.clone()], false).unwrap());
            assert_ne!(one, render(style, vec![a.clone(), member("b", "3")], false).unwrap());
        }
    }

    #[test]
    fn pages() {
        let table = [
            (Style::Screen, "\x1b[H\x1b[J==> NOW, Ctrl-C ends\n\na  127.0.0.1:7946  alive  k=\\u{1b}[2J"),
            (Style::Appended, "==> NOW\na  127.0.0.1:7946  alive  k=\x1b[2J\n"),
            (
                Style::Json,
                r#"{"members":[{"name":"a","addr":"127.0.0.1:7946","port":7946,"tags":{"k":"\u001b[2J"},"status":"alive","protocol":{"max":5,"min":2,"version":5}}]}"#,
            ),
        ];
        for (style, expected) in table {
            let list = render(style, vec![member("a", "\x1b[2J")], false).unwrap();
            assert_eq!(page(style, "NOW", &list), expected);
        }
    }
}

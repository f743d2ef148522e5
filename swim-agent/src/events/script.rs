//! One run of an event handler's script (Serf: `invoke.go`): what it finds in its environment and on its standard
//! input, and what comes of it.

use core::future::pending;
use core::pin::pin;
use core::time::Duration;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use swim_tokio::swim_core::serf::member::MemberInfo;
use swim_tokio::swim_core::serf::tags::Tags;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::{sleep, timeout};
use tracing::{debug, error, warn};

use crate::events::Occurrence;

/// Runs `script` to its end, or for as long as `limit` allows. What it answers to a query, if it does.
pub(crate) async fn run(
    script: &str,
    occurrence: &Occurrence,
    local: &MemberInfo,
    limit: Option<Duration>,
) -> Option<Vec<u8>> {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(script).envs(environment(occurrence, local));
    // Not killed when the agent ends: it may be what restarts the agent.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if limit.is_some() {
        // Its children are to end with it. Without a limit it stays in ours, as with Serf, and hears of Ctrl-C.
        command.process_group(0);
    }
    let (status, output) = match execute(script, command, payload(occurrence), limit).await {
        Ok(finished) => finished,
        Err(error) => {
            error!(target: "agent", "Error invoking script '{script}': {error}");
            return None;
        }
    };
    let kind = occurrence.kind();
    debug!(target: "agent", "Event '{kind}' script output: {}", String::from_utf8_lossy(&output));
    if let Some(fault) = fault(status) {
        error!(target: "agent", "Error invoking script '{script}': {fault}");
        return None;
    }
    (matches!(occurrence, Occurrence::Query { .. }) && !output.is_empty()).then_some(output)
}

async fn execute(
    script: &str,
    mut command: Command,
    payload: Vec<u8>,
    limit: Option<Duration>,
) -> io::Result<(ExitStatus, Vec<u8>)> {
    let mut child = command.spawn()?;
    let output = Output::default();
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin
            && let Err(error) = stdin.write_all(&payload).await
        {
            // It need not read.
            debug!(target: "agent", "Error writing payload: {error}");
        }
        // Dropped: the end of the file.
    };
    let mut talk = pin!(async { tokio::join!(feed, output.collect(stdout), output.collect(stderr)) });
    let mut talks = true;
    let pid = child.id();
    let late = async {
        match limit {
            Some(limit) => sleep(limit).await,
            None => pending().await,
        }
    };
    let (mut late, mut slow) = (pin!(late), pin!(sleep(SLOW)));
    let mut is_slow = false;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            // Closing its output is not its end.
            _ = &mut talk, if talks => talks = false,
            () = &mut slow, if !is_slow => {
                is_slow = true;
                warn!(target: "agent", "Script '{script}' slow, execution exceeding {}s", SLOW.as_secs());
            }
            () = &mut late => {
                kill_group(pid);
                let text = format!("killed after {:?}", limit.unwrap_or_default());
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
        }
    };
    if talks {
        // What it has started in the background may hold the output open for ever.
        let _ = timeout(LINGER, talk).await;
    }
    let (total, output) = output.take();
    if total > output.len() {
        let kept = output.len();
        warn!(target: "agent", "Script '{script}' generated {total} bytes of output, truncated to {kept}");
    }
    Ok((status, output))
}

fn kill_group(pid: Option<u32>) {
    let pid = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // It may just have ended.
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
}

/// The last bytes of what a script prints, both streams as they come, and how many there were in all.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<(usize, VecDeque<u8>)>>);

impl Output {
    async fn collect(&self, from: Option<impl AsyncRead + Unpin>) {
        let Some(mut from) = from else { return };
        let mut chunk = [0; 4096];
        while let Ok(len @ 1..) = from.read(&mut chunk).await {
            let (total, kept) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *total = total.saturating_add(len);
            kept.extend(&chunk[..len]);
            let over = kept.len().saturating_sub(OUTPUT_MAX);
            kept.drain(..over);
        }
    }

    fn take(&self) -> (usize, Vec<u8>) {
        let (total, kept) = core::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        (total, kept.into())
    }
}

/// What went wrong, in Go's words.
fn fault(status: ExitStatus) -> Option<String> {
    if status.success() {
        return None;
    }
    Some(match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => {
            let dumped = if status.core_dumped() { " (core dumped)" } else { "" };
            format!("signal: {}{dumped}", signal_name(signal))
        }
        (None, None) => status.to_string(),
    })
}

/// Go's name for a signal, of those that end scripts and have one number everywhere.
fn signal_name(signal: i32) -> String {
    let name = SIGNALS.iter().find(|(number, _)| *number == signal).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| format!("signal {signal}"))
}

const SIGNALS: &[(i32, &str)] = &[
    (1, "hangup"),
    (2, "interrupt"),
    (3, "quit"),
    (4, "illegal instruction"),
    (6, "aborted"),
    (8, "floating point exception"),
    (9, "killed"),
    (11, "segmentation fault"),
    (13, "broken pipe"),
    (14, "alarm clock"),
    (15, "terminated"),
];

/// The variables beside those of the agent.
fn environment(occurrence: &Occurrence, local: &MemberInfo) -> Vec<(String, OsString)> {
    let os = |bytes: &[u8]| OsString::from_vec(bytes.iter().copied().filter(|byte| *byte != 0).collect());
    let tags = local.tags();
    let mut variables = vec![
        ("SERF_EVENT".to_owned(), occurrence.kind().into()),
        ("SERF_SELF_NAME".to_owned(), os(local.name.as_bytes())),
        ("SERF_SELF_ROLE".to_owned(), os(tags.get("role").unwrap_or_default().as_bytes())),
    ];
    variables.extend(tags.iter().map(|(key, value)| (tag_variable(key), os(value.as_bytes()))));
    match occurrence {
        Occurrence::Members { .. } => {}
        Occurrence::User { ltime, name, .. } => {
            variables.push(("SERF_USER_EVENT".to_owned(), os(name)));
            variables.push(("SERF_USER_LTIME".to_owned(), ltime.0.to_string().into()));
        }
        Occurrence::Query { ltime, name, .. } => {
            variables.push(("SERF_QUERY_NAME".to_owned(), os(name.as_bytes())));
            variables.push(("SERF_QUERY_LTIME".to_owned(), ltime.0.to_string().into()));
        }
    }
    variables
}

fn tag_variable(key: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_uppercase() } else { '_' };
    // Only what shells take for a name; a letter that becomes several in upper case is one character here.
    format!("SERF_TAG_{}", key.chars().map(plain).collect::<String>())
}

/// What the script reads.
fn payload(occurrence: &Occurrence) -> Vec<u8> {
    let line = |payload: &[u8]| {
        let mut line = payload.to_vec();
        if !line.is_empty() && line.last() != Some(&b'\n') {
            line.push(b'\n');
        }
        line
    };
    match occurrence {
        Occurrence::Members { members, .. } => members.iter().flat_map(member_line).collect(),
        Occurrence::User { payload, .. } => line(payload.as_deref().unwrap_or_default()),
        Occurrence::Query { payload, .. } => line(payload),
    }
}

/// Name, address, role and tags between tabs.
fn member_line(member: &MemberInfo) -> Vec<u8> {
    let tags: Tags = member.tags();
    let listed: Vec<_> = tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut line = escaped(member.name.as_bytes());
    line.extend_from_slice(format!("\t{}\t", member.address.ip()).as_bytes());
    line.extend(escaped(tags.get("role").unwrap_or_default().as_bytes()));
    line.push(b'\t');
    line.extend(escaped(listed.join(",").as_bytes()));
    line.push(b'\n');
    line
}

/// With tabs and line feeds in two characters each.
fn escaped(bytes: &[u8]) -> Vec<u8> {
    let escape = |byte: &u8| match byte {
        b'\t' => b"\\t".to_vec(),
        b'\n' => b"\\n".to_vec(),
        byte => vec![*byte],
    };
    bytes.iter().flat_map(escape).collect()
}

/// Bytes of output that are kept.
const OUTPUT_MAX: usize = 8192;
/// A script that takes longer is mentioned.
const SLOW: Duration = Duration::from_secs(1);
/// How long output is waited for when the script itself has ended.
const LINGER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_in_gos_words() {
        #[rustfmt::skip]
        let table = [
            // wait status          words
            (0,                     None),
            (3 << 8,                Some("exit status 3")),
            (9,                     Some("signal: killed")),
            (11 | 0x80,             Some("signal: segmentation fault (core dumped)")),
            (40,                    Some("signal: signal 40")),
        ];
        for (status, words) in table {
            assert_eq!(fault(ExitStatus::from_raw(status)).as_deref(), words, "{status}");
        }
    }

    #[test]
    fn names_of_tags_become_names_of_variables() {
        for (tag, variable) in [("dc-name", "SERF_TAG_DC_NAME"), ("a_1", "SERF_TAG_A_1"), ("\u{e9} x", "SERF_TAG___X")]
        {
            assert_eq!(tag_variable(tag), variable);
        }
    }
}

//! One run of an event handler's script (Serf: `invoke.go`): what it finds in its environment and on its standard
//! input, and what comes of it.

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
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
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
    let talk = async { tokio::join!(feed, output.collect(stdout), output.collect(stderr)) };
    let pid = child.id();
    let finish = async {
        tokio::pin!(talk);
        let status = tokio::select! {
            status = child.wait() => status,
            // Closing its output is not its end.
            _ = &mut talk => return child.wait().await,
        };
        // What it has started in the background may hold the output open for ever.
        let _ = timeout(LINGER, talk).await;
        status
    };
    let finished = async {
        tokio::pin!(finish);
        tokio::select! {
            status = &mut finish => return status,
            () = sleep(SLOW) => {}
        }
        warn!(target: "agent", "Script '{script}' slow, execution exceeding {}s", SLOW.as_secs());
        finish.await
    };
    let status = match limit {
        None => finished.await?,
        Some(limit) => match timeout(limit, finished).await {
            Ok(status) => status?,
            Err(_) => {
                kill_group(pid);
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("killed after {limit:?}")));
            }
        },
    };
    Ok((status, output.take()))
}

fn kill_group(pid: Option<u32>) {
    let pid = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // It may just have ended.
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
}

/// The last bytes of what a script prints, both streams as they come.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<VecDeque<u8>>>);

impl Output {
    async fn collect(&self, from: Option<impl AsyncRead + Unpin>) {
        let Some(mut from) = from else { return };
        let mut chunk = [0; 4096];
        while let Ok(len @ 1..) = from.read(&mut chunk).await {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(&chunk[..len]);
            let over = kept.len().saturating_sub(OUTPUT_MAX);
            kept.drain(..over);
        }
    }

    fn take(&self) -> Vec<u8> {
        core::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

/// What went wrong, in Go's words.
fn fault(status: ExitStatus) -> Option<String> {
    if status.success() {
        return None;
    }
    Some(match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal: {signal}"),
        (None, None) => status.to_string(),
    })
}

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

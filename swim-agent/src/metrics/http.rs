//! As much of HTTP/1.1 as it takes to answer `GET /metrics`, and no more: one request to a connection, and a bound on
//! everything.

use core::time::Duration;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::{debug, error};

/// Answers until the task is dropped, with what `metrics` gives at that moment.
pub(crate) async fn serve(listener: TcpListener, metrics: impl Fn() -> String + Clone + Send + 'static) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely. Somebody will close one.
                error!(target: "agent", "Failed to accept a request for metrics: {error}");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            debug!(target: "agent", "Refused a request for metrics from {from}: {CONNECTIONS_MAX} are being answered");
            continue;
        };
        let metrics = metrics.clone();
        tokio::spawn(async move {
            // Whoever does not get its answer will ask again.
            let _ = exchange(stream, metrics).await;
            drop(place);
        });
    }
}

/// One request and its answer.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, metrics: impl Fn() -> String) -> io::Result<()> {
    let response = match timeout(READ_PATIENCE, read_head(&mut stream)).await {
        Err(_) => Response::error("408 Request Timeout", ""),
        Ok(Ok(Some(head))) => respond(&head, metrics),
        Ok(Ok(None)) => Response::error("431 Request Header Fields Too Large", ""),
        Ok(Err(error)) => return Err(error),
    };
    timeout(WRITE_PATIENCE, stream.write_all(&response.encode())).await??;
    timeout(WRITE_PATIENCE, stream.shutdown()).await??;
    // Closing with bytes unread would take our answer away from under a client that still sends.
    let mut rest = [0; 1024];
    let drained = async {
        for _ in 0..REST_MAX / rest.len() {
            if stream.read(&mut rest).await? == 0 {
                break;
            }
        }
        Ok::<_, io::Error>(())
    };
    timeout(REST_PATIENCE, drained).await?
}

/// The request up to its empty line; `None`: it is too long.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::with_capacity(1024);
    let mut looked_at: usize = 0;
    // An end may have begun in what was there before.
    while !ends(&head[looked_at.saturating_sub(3)..]) {
        looked_at = head.len();
        if head.len() >= HEAD_MAX {
            return Ok(None);
        }
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Some(head))
}

fn ends(head: &[u8]) -> bool {
    head.windows(4).any(|window| window == b"\r\n\r\n") || head.windows(2).any(|window| window == b"\n\n")
}

fn respond(head: &[u8], metrics: impl Fn() -> String) -> Response {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Ok(line) = core::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)) else {
        return Response::error("400 Bad Request", "");
    };
    let [method, target, version] = *line.split(' ').collect::<Vec<_>>() else {
        return Response::error("400 Bad Request", "");
    };
    if !version.starts_with("HTTP/1.") {
        return Response::error("505 HTTP Version Not Supported", "");
    }
    if target.split('?').next() != Some("/metrics") {
        return Response::error("404 Not Found", "");
    }
    match method {
        "GET" => Response { status: "200 OK", header: TEXT_FORMAT, body: metrics(), with_body: true },
        "HEAD" => Response { status: "200 OK", header: TEXT_FORMAT, body: metrics(), with_body: false },
        _ => Response::error("405 Method Not Allowed", "Allow: GET, HEAD\r\n"),
    }
}

struct Response {
    status: &'static str,
    /// Lines of its own.
    header: &'static str,
    body: String,
    with_body: bool,
}

impl Response {
    fn error(status: &'static str, header: &'static str) -> Self {
        Self { status, header, body: format!("{status}\n"), with_body: true }
    }

    fn encode(self) -> Vec<u8> {
        let Self { status, header, body, with_body } = self;
        let len = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{header}Content-Length: {len}\r\nConnection: close\r\n\r\n");
        let mut bytes = head.into_bytes();
        if with_body {
            bytes.extend_from_slice(body.as_bytes());
        }
        bytes
    }
}

const TEXT_FORMAT: &str = "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n";
/// Connections at once; more are closed as they come.
const CONNECTIONS_MAX: usize = 16;
/// Bytes of a request's line and headers.
const HEAD_MAX: usize = 8 << 10;
/// Bytes that are thrown away behind a request.
const REST_MAX: usize = 64 << 10;
/// How long a request may take to arrive, whole.
const READ_PATIENCE: Duration = Duration::from_secs(5);
/// How long the answer may take to be accepted.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);
const REST_PATIENCE: Duration = Duration::from_secs(1);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use tokio::io::duplex;
    use tokio::time::Instant;

    use super::*;

    async fn ask(request: &[u8]) -> String {
        let (mut near, far) = duplex(64 << 10);
        let asked = tokio::spawn(exchange(far, || "a 1\n".to_owned()));
        near.write_all(request).await.unwrap();
        let mut answer = String::new();
        near.read_to_string(&mut answer).await.unwrap();
        drop(near);
        let _ = asked.await.unwrap();
        answer
    }

    #[tokio::test(start_paused = true)]
    async fn requests_and_answers() {
        let of = |len: usize| format!("GET /metrics HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(len - 30));
        let (longest, too_long) = (of(HEAD_MAX), of(HEAD_MAX + 1));
        assert_eq!(longest.len(), HEAD_MAX);
        let table: [(&[u8], &str); 12] = [
            (longest.as_bytes(), "200 OK"),
            (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK"),
            (b"GET /metrics?x=y HTTP/1.0\r\n\r\n", "200 OK"),
            (b"GET /metrics HTTP/1.1\n\n", "200 OK"),
            (b"HEAD /metrics HTTP/1.1\r\n\r\n", "200 OK"),
            (b"POST /metrics HTTP/1.1\r\n\r\nbody", "405 Method Not Allowed"),
            (b"GET / HTTP/1.1\r\n\r\n", "404 Not Found"),
            (b"GET /metrics HTTP/2\r\n\r\n", "505 HTTP Version Not Supported"),
            (b"GET /metrics\r\n\r\n", "400 Bad Request"),
            (b"\xff\xff\r\n\r\n", "400 Bad Request"),
            (b"\r\n\r\n", "400 Bad Request"),
            (too_long.as_bytes(), "431 Request Header Fields Too Large"),
        ];
        for (request, status) in table {
            let answer = ask(request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request:?}: {answer}");
        }
    }

    /// The end is found wherever it is cut, and not before it has come.
    #[tokio::test(start_paused = true)]
    async fn requests_in_pieces() {
        for request in [&b"GET /metrics HTTP/1.1\r\nx: y\r\n\r\n"[..], b"GET /metrics HTTP/1.1\n\n"] {
            for step in 1..request.len() {
                let (mut near, mut far) = duplex(step);
                let writing = async move { near.write_all(request).await };
                let (written, head) = tokio::join!(writing, read_head(&mut far));
                assert!(written.is_ok());
                assert_eq!(head.unwrap().as_deref(), Some(request), "in pieces of {step}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bodies() {
        let get = ask(b"GET /metrics HTTP/1.1\r\n\r\n").await;
        assert_eq!(
            get,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
             Content-Length: 4\r\nConnection: close\r\n\r\na 1\n"
        );
        let head = ask(b"HEAD /metrics HTTP/1.1\r\n\r\n").await;
        assert!(head.contains("Content-Length: 4\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_slow_are_given_up() {
        // Timers are exact to a millisecond.
        let five_seconds = |start: Instant| (5000..=5001).contains(&start.elapsed().as_millis());
        let start = Instant::now();
        assert!(ask(b"GET /metr").await.starts_with("HTTP/1.1 408 "));
        assert!(five_seconds(start), "{:?}", start.elapsed());
        let (near, far) = duplex(16);
        // It asks, and never reads the answer.
        let asked = tokio::spawn(exchange(far, || "x".repeat(1000)));
        let mut near = near;
        near.write_all(b"GET /metrics HTT").await.unwrap();
        near.write_all(b"P/1.1\r\n\r\n").await.unwrap();
        let start = Instant::now();
        assert_eq!(asked.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(five_seconds(start), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_just_in_time_is_answered() {
        let (mut near, far) = duplex(64);
        let asked = tokio::spawn(exchange(far, || "x".repeat(1000)));
        near.write_all(b"GET /metrics HTT").await.unwrap();
        sleep(READ_PATIENCE - Duration::from_millis(2)).await;
        near.write_all(b"P/1.1\r\n\r\n").await.unwrap();
        sleep(WRITE_PATIENCE - Duration::from_millis(2)).await;
        let mut answer = String::new();
        near.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("x"), "{answer}");
        drop(near);
        assert!(asked.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn connections_are_bounded() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, String::new));
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            idle.push(tokio::net::TcpStream::connect(address).await.unwrap());
        }
        let mut one_more = tokio::net::TcpStream::connect(address).await.unwrap();
        // Closed, before it could ask.
        let closed = timeout(READ_PATIENCE, one_more.read(&mut [0; 1])).await.unwrap();
        assert!(matches!(closed, Ok(0) | Err(_)));
        drop(idle);
        let answered = async {
            loop {
                let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
                let mut answer = String::new();
                let asked = stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").await;
                if asked.is_ok() && stream.read_to_string(&mut answer).await.is_ok() && !answer.is_empty() {
                    return answer;
                }
            }
        };
        let answer = timeout(Duration::from_secs(20), answered).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
}

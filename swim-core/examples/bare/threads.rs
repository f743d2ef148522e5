//! Threads that do what blocks. For service they lack a bound on their number, and a deadline for connections that hang.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, mpsc::Sender};
use std::thread::spawn;

use swim_core::ids::StreamId;
use swim_core::node::input::{StreamAction, StreamFailure, StreamInput};
use swim_core::{Instant, Node};

/// What a thread wants done in the loop, which alone touches the node.
pub(crate) type News = Box<dyn FnOnce(&mut Node, Instant, &mut Streams) + Send>;
/// The open connections.
pub(crate) type Streams = HashMap<StreamId, Arc<TcpStream>>;

pub(crate) fn receive(socket: &UdpSocket, report: &Sender<News>) {
    let mut buf = vec![0; 65_535];
    while let Ok((len, from)) = socket.recv_from(&mut buf) {
        let mut datagram = buf[..len].to_vec();
        tell(report, move |node, now, _| node.handle_datagram(now, from, &mut datagram).unwrap_or_default());
    }
}

pub(crate) fn accept(listener: &TcpListener, report: &Sender<News>) {
    while let Ok((stream, from)) = listener.accept() {
        let reader = report.clone();
        tell(report, move |node, now, streams| {
            if let Some(id) = node.accept_stream(now, from) {
                streams.insert(id, read(id, stream, reader));
            }
        });
    }
}

/// Does what the node wants done with a stream.
pub(crate) fn act(action: StreamAction, streams: &mut Streams, report: Sender<News>) {
    match action {
        StreamAction::Open { id, peer } => drop(spawn(move || match TcpStream::connect(peer) {
            Ok(stream) => tell(&report.clone(), move |node, now, streams| {
                streams.insert(id, read(id, stream, report));
                node.handle_stream(now, id, StreamInput::Opened);
            }),
            Err(_) => happened(&report, id, StreamInput::Failed(StreamFailure::Other)),
        })),
        StreamAction::Send { id, data } => {
            let Some(stream) = streams.get(&id).cloned() else { return };
            spawn(move || match (&*stream).write_all(&data) {
                Ok(()) => happened(&report, id, StreamInput::Sent),
                Err(_) => happened(&report, id, StreamInput::Failed(StreamFailure::Other)),
            });
        }
        // The reader goes on until the other side has closed, too: a connection with unread bytes would be reset.
        StreamAction::Finish { id } => drop(streams.remove(&id).map(|stream| stream.shutdown(Shutdown::Write))),
        StreamAction::Abort { id } => drop(streams.remove(&id).map(|stream| stream.shutdown(Shutdown::Both))),
    }
}

fn read(id: StreamId, stream: TcpStream, report: Sender<News>) -> Arc<TcpStream> {
    let stream = Arc::new(stream);
    let reader = stream.clone();
    spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(len @ 1..) = (&*reader).read(&mut chunk) {
            let data = chunk[..len].to_vec();
            tell(&report, move |node, now, _| node.handle_stream(now, id, StreamInput::Data(&data)));
        }
        happened(&report, id, StreamInput::Finished);
    });
    stream
}

fn happened(report: &Sender<News>, id: StreamId, input: StreamInput<'static>) {
    tell(report, move |node, now, _| node.handle_stream(now, id, input));
}

fn tell(report: &Sender<News>, news: impl FnOnce(&mut Node, Instant, &mut Streams) + Send + 'static) {
    let _the_loop_may_be_over = report.send(Box::new(news));
}

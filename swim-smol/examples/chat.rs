//! A chat without a server: every line typed is a user event, and gossip brings it to everybody.
//!
//! In two terminals, and in as many more as you like:
//!
//! ```sh
//! cargo run -p swim-smol --example chat-smol -- alice 127.0.0.1:7201
//! cargo run -p swim-smol --example chat-smol -- bob 127.0.0.1:7202 127.0.0.1:7201
//! ```
//!
//! The arguments are a name, the address to listen on, and somebody who is there already. It prints who comes and goes
//! and what is said, one's own lines included, as `alice: hello`. Ctrl-D leaves properly. Ctrl-C ends it like a crash: the
//! others print `bob: member-failed` some seconds later.

use core::error::Error;
use std::io::BufRead as _;

use swim_smol::swim_core::Event;
use swim_smol::{Cluster, Options};

fn main() -> Result<(), Box<dyn Error>> {
    smol::block_on(chat())
}

async fn chat() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, address, seeds @ ..] = &arguments[..] else {
        return Err("usage: chat NAME ADDRESS [ADDRESS OF A MEMBER]...".into());
    };
    let cluster = Cluster::start(Options::local(name.as_str(), address.parse()?)).await?;
    let mut events = cluster.events();
    cluster.join(seeds).await?;

    // Reading lines blocks, so a thread does it. The handle can be used from anywhere.
    let (speaker, name) = (cluster.clone(), name.clone());
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            // An event does not say who sent it; what must be known goes into the payload.
            if let Err(error) = speaker.user_event(b"chat", Some(format!("{name}: {line}").as_bytes()), false) {
                eprintln!("not said: {error}");
            }
        }
        // No more lines. The goodbye takes a second or two, and then everything ends, the events below too.
        smol::block_on(async {
            if let Err(error) = speaker.leave().await {
                eprintln!("no goodbye: {error}");
            }
            speaker.shutdown().await;
        });
    });

    while let Some(event) = events.next().await {
        if let Event::User { name, payload, .. } = &event
            && **name == *b"chat"
        {
            println!("{}", String::from_utf8_lossy(payload.as_deref().unwrap_or_default()));
        } else if let Event::Member { kind, member } = &event {
            println!("{}: {}", member.name, kind.as_str());
        } else if let Event::Missed { count } = &event {
            println!("({count} lines were too fast for this terminal)");
        }
    }
    Ok(())
}

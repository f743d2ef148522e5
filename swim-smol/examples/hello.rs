//! Three members in one process: they join, hear of each other, answer a question, and one of them leaves.
//!
//! ```sh
//! cargo run -p swim-smol --example hello-smol
//! ```
//!
//! It ends by itself after a second or two, and prints what `ant` sees; which of the others comes first is chance:
//!
//! ```text
//! ant: member-join bee
//! ant: member-join cat
//! bee answers: 3 members
//! cat answers: 3 members
//! ant: member-leave cat
//! ```

use core::error::Error;

use swim_smol::swim_core::Event;
use swim_smol::swim_core::serf::event::MemberEvent;
use swim_smol::swim_core::serf::query::Query;
use swim_smol::{Cluster, Events, Options, QueryAnswer};

fn main() -> Result<(), Box<dyn Error>> {
    smol::block_on(async {
        let (ant, bee, cat) = (start("ant").await?, start("bee").await?, start("cat").await?);
        let (mut to_ant, mut to_bee, mut to_cat) = (ant.events(), bee.events(), cat.events());
        let seed = [ant.bound_address().to_string()];
        bee.join(&seed).await?;
        cat.join(&seed).await?;
        for _ in 0..2 {
            show(&mut to_ant, MemberEvent::Join).await?;
        }

        // A question reaches everybody, the asker too, who need not answer.
        let mut answers = ant.query(Query { name: b"how many are we?", ..Query::default() })?;
        for (cluster, events) in [(&bee, &mut to_bee), (&cat, &mut to_cat)] {
            let id = until(events, |event| if let Event::Query { id, .. } = event { Some(id) } else { None }).await?;
            cluster.respond(id, format!("{} members", cluster.members().len()).as_bytes())?;
        }
        // They come as they arrive, until the question's time is over. Two are all there can be.
        for _ in 0..2 {
            if let Some(QueryAnswer::Response { from, payload }) = answers.next().await {
                println!("{from} answers: {}", String::from_utf8_lossy(&payload));
            }
        }

        cat.leave().await?;
        show(&mut to_ant, MemberEvent::Leave).await?;
        Ok(()) // Dropping the handles stops the members at once, without a goodbye: to others, that is a failure.
    })
}

/// A member on a free port of the loopback interface.
async fn start(name: &str) -> Result<Cluster, Box<dyn Error>> {
    let mut options = Options::local(name, "127.0.0.1:0".parse()?);
    options.config.swim.retransmit_mult = 8; // of the preset's two transmissions, both may go to the same one of two
    Ok(Cluster::start(options).await?)
}

/// Waits until this happens to a member other than `ant`, and prints it.
async fn show(events: &mut Events, wanted: MemberEvent) -> Result<(), &'static str> {
    let found = |event| {
        let Event::Member { kind, member } = event else { return None };
        (kind == wanted && member.name != "ant").then_some(member.name)
    };
    println!("ant: {} {}", wanted.as_str(), until(events, found).await?);
    Ok(())
}

/// Waits for the event in which `look` finds something.
async fn until<T>(events: &mut Events, look: impl Fn(Event) -> Option<T>) -> Result<T, &'static str> {
    while let Some(event) = events.next().await {
        if let Some(found) = look(event) {
            return Ok(found);
        }
    }
    Err("the cluster has stopped")
}

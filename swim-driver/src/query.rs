//! Asking the cluster: the answers to one query, as they come.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;

use futures_core::Stream;
use swim_core::ids::{CommandId, Name};
use swim_core::node::input::Reply;

use crate::runtime::Runtime;
use crate::shared::Shared;

/// The answers to one query: a stream that ends at the query's deadline, or when the cluster stops.
///
/// Dropping it forgets the answers that are still to come; the others are asked all the same.
///
/// ```
/// # use swim_tokio::swim_core::Event;
/// # use swim_tokio::{Cluster, Options};
/// use core::time::Duration;
/// use swim_tokio::QueryAnswer;
/// use swim_tokio::swim_core::serf::query::Query;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
/// # let mut events = cluster.events();
/// let query = Query { name: b"load", request_ack: true, timeout: Some(Duration::from_secs(2)), ..Query::default() };
/// let mut answers = cluster.query(query)?;
/// # let other = cluster.clone();
/// # let answering = tokio::spawn(async move {
/// #     while let Some(event) = events.next().await {
/// #         if let Event::Query { id, .. } = event {
/// #             return other.respond(id, b"0.7");
/// #         }
/// #     }
/// #     Ok(())
/// # });
/// # let mut heard = Vec::new();
/// while let Some(answer) = answers.next().await {
///     match answer {
///         QueryAnswer::Ack { from } => println!("{from} has heard it"),
///         QueryAnswer::Response { from, payload } => {
///             println!("{from}: {}", payload.escape_ascii());
/// #           heard.push((from.to_string(), payload));
///         }
///         _ => {}
///     }
/// }
/// # assert_eq!(heard, [("a".to_owned(), Box::from(&b"0.7"[..]))]);
/// # cluster.shutdown().await;
/// # answering.await??;
/// # Ok(())
/// # }
/// ```
pub struct Answers<R: Runtime> {
    shared: Arc<Shared<R>>,
    id: CommandId,
}

/// One answer to a query.
///
/// See the example of [`Answers`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryAnswer {
    /// A member has heard the query. At most one from each, and only if acks were asked for.
    Ack {
        /// Who.
        from: Name,
    },
    /// A member has answered it. At most one from each.
    Response {
        /// Who.
        from: Name,
        /// What.
        payload: Box<[u8]>,
    },
}

impl<R: Runtime> Answers<R> {
    pub(crate) fn new(shared: Arc<Shared<R>>, id: CommandId) -> Self {
        Self { shared, id }
    }

    /// The next answer; `None` when the time is over.
    ///
    /// Cancel-safe: an answer is lost to nobody.
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// use core::time::Duration;
    /// use swim_tokio::swim_core::serf::query::Query;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// let mut answers = cluster.query(Query { name: b"load", timeout: Some(Duration::from_millis(100)), ..Query::default() })?;
    /// assert_eq!(answers.next().await, None, "nobody has an answer");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next(&mut self) -> Option<QueryAnswer> {
        core::future::poll_fn(|cx| self.poll_answer(cx)).await
    }

    fn poll_answer(&self, cx: &mut Context<'_>) -> Poll<Option<QueryAnswer>> {
        loop {
            let Poll::Ready(reply) = self.shared.poll_reply(self.id, cx) else { return Poll::Pending };
            match reply {
                Some(Reply::Ack { from }) => return Poll::Ready(Some(QueryAnswer::Ack { from })),
                Some(Reply::Response { from, payload }) => {
                    return Poll::Ready(Some(QueryAnswer::Response { from, payload }));
                }
                // Not an answer: how many are asked, say.
                Some(_) => {}
                None => return Poll::Ready(None),
            }
        }
    }
}

impl<R: Runtime> Stream for Answers<R> {
    type Item = QueryAnswer;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<QueryAnswer>> {
        self.poll_answer(cx)
    }
}

impl<R: Runtime> Drop for Answers<R> {
    fn drop(&mut self) {
        self.shared.forget(self.id);
    }
}

impl<R: Runtime> fmt::Debug for Answers<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").field("id", &self.id).finish_non_exhaustive()
    }
}

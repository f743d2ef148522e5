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
pub struct Answers<R: Runtime> {
    shared: Arc<Shared<R>>,
    id: CommandId,
}

/// One answer to a query.
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

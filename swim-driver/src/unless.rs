//! A future that another one may cut short, no larger than the two together.

use core::pin::Pin;
use core::task::{Context, Poll};

use pin_project_lite::pin_project;

/// The outcome of `work`, or `None` if `end` comes first.
///
/// An `async fn` would keep its arguments beside what it makes of them: several times the size, once per level, and there
/// is one of these around everything that a stream does.
pub(crate) fn unless<E, W>(end: E, work: W) -> Unless<E, W>
where
    E: Future<Output = ()>,
    W: Future,
{
    Unless { end, work }
}

pin_project! {
    /// See [`unless`].
    #[derive(Debug)]
    pub(crate) struct Unless<E, W> {
        #[pin]
        end: E,
        #[pin]
        work: W,
    }
}

impl<E: Future<Output = ()>, W: Future> Future for Unless<E, W> {
    type Output = Option<W::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.end.poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        this.work.poll(cx).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use core::future::{pending, ready};

    use futures_lite::future::{block_on, poll_once};

    use super::*;

    #[test]
    fn whatever_comes_first() {
        assert_eq!(block_on(unless(pending(), ready(1))), Some(1));
        assert_eq!(block_on(unless(ready(()), pending::<u8>())), None);
        assert_eq!(block_on(unless(ready(()), ready(1))), None, "the end, of the two");
        assert_eq!(block_on(poll_once(unless(pending(), pending::<u8>()))), None);
    }

    #[test]
    fn it_is_no_larger_than_its_parts() {
        let work = async {
            let mut large = [1_u8; 1000];
            pending::<()>().await;
            large.fill(2);
        };
        let parts = size_of_val(&work);
        assert!(size_of_val(&unless(pending(), work)) <= parts + size_of::<usize>());
    }
}

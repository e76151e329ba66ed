//! The stream of a watch: frames that end anywhere but at the end of an event.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use hyper::body::{Body, Frame};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The server's end of a stream; it ends, whole, when this is dropped.
#[derive(Debug)]
pub(super) struct Sender {
    frames: UnboundedSender<Bytes>,
    is_partial: bool,
    pub(super) has_bookmarks: bool,
    sent: usize,
}

/// The client's end.
#[derive(Debug)]
pub(super) struct Stream(UnboundedReceiver<Bytes>);

pub(super) fn stream(is_partial: bool, has_bookmarks: bool) -> (Sender, Stream) {
    let (frames, received) = unbounded_channel();
    let sender = Sender {
        frames,
        is_partial,
        has_bookmarks,
        sent: 0,
    };
    (sender, Stream(received))
}

impl Sender {
    /// Whether the client is still there.
    pub(super) fn is_open(&self) -> bool {
        !self.frames.is_closed()
    }

    pub(super) fn event(&mut self, kind: &str, object: &Value) {
        let object = if kind == "ERROR" || !self.is_partial {
            object.clone()
        } else {
            partial(object)
        };
        self.raw(format!("{}\n", json!({"type": kind, "object": object})).as_bytes());
    }

    /// Any bytes, cut somewhere else each time; such as are only many come at once.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        const PARTS: [usize; 5] = [1, 7, 64, 3, 1000];
        const MANY: usize = 1 << 16;
        let mut rest = bytes;
        while !rest.is_empty() {
            self.sent += 1;
            let part = if bytes.len() < MANY {
                PARTS[self.sent % PARTS.len()]
            } else {
                MANY
            };
            let (part, further) = rest.split_at(part.min(rest.len()));
            rest = further;
            // A client that goes away says so by its next request.
            self.frames.send(Bytes::copy_from_slice(part)).ok();
        }
    }
}

/// A pod's metadata alone.
pub(super) fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|frame| Some(Ok(Frame::data(frame?))))
    }
}

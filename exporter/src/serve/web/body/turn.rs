//! Turns of answers that are made for one client alone: until the memory of one is accounted for, no other is begun. So the memory of
//! one is not in the account, however many ask at once.
//! Around the routes that make such answers; the guard lets go of a turn.

use axum::{extract::Request, middleware::Next, response::Response};
use std::sync::Arc;
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};

/// The turn of one request. Work that goes on where nobody waits for it any more holds it too.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    /// Nobody closes the semaphore.
    _permit: Arc<Result<SemaphorePermit<'static>, AcquireError>>,
}

impl Turn {
    /// Waits for it.
    pub(crate) async fn take() -> Self {
        static TURNS: Semaphore = Semaphore::const_new(1);
        Self {
            _permit: Arc::new(TURNS.acquire().await),
        }
    }
}

/// Gives each request of a route its turn, and its answer the same.
pub(crate) async fn one_at_a_time(mut request: Request, next: Next) -> Response {
    let turn = Turn::take().await;
    request.extensions_mut().insert(turn.clone());
    let mut response = next.run(request).await;
    response.extensions_mut().insert(turn);
    response
}

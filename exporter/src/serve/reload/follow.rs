//! Files that are read again when they change: the web configuration and the configuration, with every key and certificate
//! that they name.
//! It must never hold anybody up: a thread that serves nobody looks. From `serve`; to those who re-read.

use crate::{
    lifecycle::worker::Worker,
    serve::{reload::Reloader, web::Web},
};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::time::sleep;

const EVERY: Duration = Duration::from_secs(2);

/// Looks at the files now and then, if there are any; at the configuration itself if `config_too`.
pub async fn stay_current(reloader: &Arc<Reloader>, web: &Web, files: &Worker<()>, config_too: bool) -> Infallible {
    loop {
        if web.has_file() || reloader.has_files(config_too) {
            sleep(EVERY).await;
            web.follow(files).await;
            reloader.follow(config_too).await;
        } else {
            reloader.reloaded().await;
        }
    }
}

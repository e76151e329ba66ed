//! Keeps a ConfigMap as the nodes are: what comes together is written together, and what cannot be written is tried again.
//! It must never write before all nodes are known, nor take a name away because the API server is away.
//! From the watch of nodes; to the map.

use super::{
    networks::{File, Networks, TooMany},
    zones::{LeftOut, Zones},
};
use crate::{
    kubernetes::{
        self, Api, Fault, Node, Nodes, Told,
        backoff::Backoff,
        config_map::{ConfigMap, MOST, Writer},
        connection::Setback,
    },
    lifecycle::throttle::{self, Throttle},
};
use std::time::Duration;
use tokio::{
    join,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::{sleep, timeout},
};

type News = Told<Node, String>;

/// Follows the nodes. It never ends; whoever drops it ends it.
pub async fn follow(api: Api, nodes: Nodes, map: ConfigMap) -> ! {
    let (sender, news) = unbounded_channel();
    let keeper = Keeper::new(&api, nodes.label(), map);
    let tell = move |told| {
        // Whoever reads it ends with the process only.
        let _sent = sender.send(told);
    };
    let (never, _) = join!(kubernetes::watch_all(api, nodes, tell), keeper.keep(news));
    never
}

struct Keeper {
    zones: Zones,
    /// Whether all nodes are known.
    is_whole: bool,
    writer: Writer,
    /// What the map has, as far as is known.
    written: Option<String>,
    failures: Backoff,
    /// How long more news are waited for.
    settle: Duration,
    /// After what time the map is written again, though nothing has changed: somebody else may have changed it.
    anew: Duration,
    said: LeftOut,
    log: Throttle,
}

impl Keeper {
    fn new(api: &Api, label: &str, map: ConfigMap) -> Self {
        let pace = api.pace();
        Self {
            zones: Zones::new(label),
            is_whole: false,
            written: None,
            failures: Backoff::new(&pace.pauses),
            settle: *pace.pauses.start(),
            anew: *pace.watch.end(),
            writer: Writer::new(api.clone(), map),
            said: LeftOut::default(),
            log: Throttle::new(throttle::FAULT),
        }
    }

    async fn keep(mut self, mut news: UnboundedReceiver<News>) -> ! {
        loop {
            match timeout(self.anew, news.recv()).await {
                Ok(Some(told)) => self.take(told),
                // The watch never ends.
                Ok(None) => std::future::pending().await,
                Err(_elapsed) => self.written = None,
            }
            sleep(self.settle).await;
            while let Some(pause) = self.write(&mut news).await {
                sleep(pause).await;
            }
        }
    }

    fn take(&mut self, told: News) {
        match told {
            Told::Listed(nodes) => {
                self.zones.replace(nodes);
                self.is_whole = true;
            }
            Told::Added(node) | Told::Modified(node) => self.zones.put(node),
            Told::Deleted { uid } => self.zones.remove(&uid),
            Told::Unchanged | Told::State(_) => {}
        }
    }

    /// Writes what is known by now, if the map has something else; how long to wait if that fails.
    async fn write(&mut self, news: &mut UnboundedReceiver<News>) -> Option<Duration> {
        while let Ok(told) = news.try_recv() {
            self.take(told);
        }
        if !self.is_whole {
            return None;
        }
        let (networks, left_out) = self.zones.networks();
        if left_out != self.said {
            left_out.log(self.zones.label());
            self.said = left_out;
        }
        let file = match Networks::within(networks, MOST) {
            Ok(file) => file,
            Err(error) => {
                self.refuse(error);
                return None;
            }
        };
        if self.written.as_ref() == Some(&file.text) {
            return None;
        }
        match self.writer.write(&file.text).await {
            Ok(()) => {
                self.did_well(&file);
                self.written = Some(file.text);
                None
            }
            Err(setback) => Some(self.set_back(setback)),
        }
    }

    fn did_well(&mut self, file: &File) {
        self.failures.reset();
        let (bytes, networks) = (file.text.len(), file.count);
        if file.count == 0 {
            tracing::warn!("subnets: no node has a network with a name; the ConfigMap names none");
        } else if let Some((ipv4, ipv6)) = file.joined {
            tracing::info!(
                networks,
                bytes,
                "subnets: the ConfigMap is written; to fit, networks of one name were joined up to /{ipv4} and /{ipv6} over \
                 addresses that no node has"
            );
        } else {
            tracing::info!(networks, bytes, "subnets: the ConfigMap is written");
        }
    }

    fn refuse(&self, error: TooMany) {
        if self.log.log("size").is_some() {
            tracing::error!("subnets: {error}; the ConfigMap stays as it is");
        }
    }

    fn set_back(&mut self, setback: Setback) -> Duration {
        let mut asked = None;
        if let Setback::Failed {
            fault: Fault { kind, message },
            asked: by,
        } = setback
        {
            asked = by;
            if let Some(silent) = self.log.log(kind.as_str()) {
                tracing::warn!(
                    not_logged = silent,
                    "subnets: {message}; the ConfigMap stays as it is until then"
                );
            }
        }
        self.failures.pause(asked, rand::random())
    }
}

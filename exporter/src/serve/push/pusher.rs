//! The pusher: collects when a push is due, sends, and tries again until the next one is.
//! It must never hold more than one request, nor make anybody wait: it runs on a thread of its own, and what a scrape and it
//! share is the collection. From the collector; to the receiver, the tally and the log.

use super::{
    answer::{Answer, pause},
    client::{Client, Receiver},
};
use crate::{
    lifecycle::{
        clock::since_1970,
        throttle::{self, Throttle},
    },
    serve::collect::{CollectError, Collection, Collector, pushes::Tally},
};
use opentelemetry_proto::tonic::{collector::metrics::v1::ExportMetricsServiceRequest, resource::v1::Resource};
use std::{sync::Arc, time::Duration};
use tcpvitals_config::{HistogramForm, Temporality};
use tcpvitals_metrics::{
    encode::otlp::{
        delta::Deltas,
        reading::{self, Starts, nanos, split},
        request::{self as encode, Style},
    },
    snapshot::Push,
};
use tokio::{
    sync::watch::{self, error::RecvError},
    time::{Instant, sleep, sleep_until, timeout},
};

/// Series of one request: far below the 4 MiB that receivers of gRPC take by default.
const LARGEST_REQUEST: usize = 4_000;
/// How long an attempt that is under way may take when the exporter is to stop.
const GRACE: Duration = Duration::from_secs(2);
/// How long the last push may take.
const LAST: Duration = Duration::from_secs(3);

/// Where to push, if anywhere; once its sender is gone, the pusher pushes a last time and ends.
pub type Destination = watch::Receiver<Option<Arc<Receiver>>>;

/// Pushes what a collector collects.
#[derive(Debug)]
pub struct Pusher {
    collector: Arc<Collector>,
    tally: Arc<Tally>,
    resource: Resource,
    starts: Starts,
    /// What receivers have, however they were told: so deltas may begin at any time.
    deltas: Deltas,
    /// What was wrong with this push, and what kind of fault it is.
    trouble: Option<(Trouble, String)>,
    log: Throttle,
}

/// Kinds of faults: a receiver chooses its words, but not these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Collection,
    Refusal,
    Silence,
    Remark,
    Rejection,
}

impl Trouble {
    const ALL: [Self; 5] = [
        Self::Collection,
        Self::Refusal,
        Self::Silence,
        Self::Remark,
        Self::Rejection,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Collection => "the collection failed",
            Self::Refusal => "the receiver refuses the metrics",
            Self::Silence => "the receiver does not take the metrics",
            Self::Remark => "the receiver took the metrics and says",
            Self::Rejection => "the receiver rejects some of the data points",
        }
    }
}

/// What became of a request, or of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    /// The receiver has it.
    Taken,
    /// The receiver will not have it.
    Refused,
    /// It was not taken in time; the receiver asked not to be asked for so long.
    GivenUp(Option<Duration>),
}

impl Pusher {
    /// A pusher for this collector's metrics.
    pub fn new(collector: Arc<Collector>, tally: Arc<Tally>, resource: Resource) -> Self {
        let start = nanos(collector.started());
        let deltas = Deltas::new(start);
        Self {
            starts: Starts::new(start),
            collector,
            tally,
            resource,
            deltas,
            trouble: None,
            log: Throttle::new(throttle::FAULT),
        }
    }

    /// Pushes until the destination's sender is gone.
    pub async fn run(mut self, mut destination: Destination) {
        loop {
            let receiver = destination.borrow_and_update().clone();
            self.tally.switch(receiver.is_some());
            let Some(receiver) = receiver else {
                if destination.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let settings = receiver.settings();
            tracing::info!(
                endpoint = %settings.target,
                protocol = settings.protocol.as_str(),
                interval = ?settings.interval,
                temporality = settings.temporality.as_str(),
                proxy = receiver.proxy().map(tracing::field::display),
                "pushing over OTLP"
            );
            if self.push_to(&receiver, &mut destination).await.is_err() {
                self.push_a_last_time(&receiver).await;
                return;
            }
        }
    }

    /// Pushes until the destination changes; fails when its sender is gone.
    async fn push_to(&mut self, receiver: &Receiver, destination: &mut Destination) -> Result<(), RecvError> {
        let interval = receiver.settings().interval;
        let mut client = receiver.client();
        // Soon, but hosts that start together do not come together.
        let mut due = Instant::now() + interval.mul_f64(rand::random::<f64>() / 10.0);
        loop {
            tokio::select! {
                () = sleep_until(due) => {}
                changed = destination.changed() => return changed,
            }
            due = Instant::now() + interval.mul_f64(rand::random_range(0.9..1.1));
            let collection = self.collect(false).await;
            if let Delivery::GivenUp(Some(asked)) = self.push(collection, receiver, &mut client, due, destination).await
            {
                due = due.max(Instant::now() + asked);
            }
        }
    }

    /// What was counted until now must not be lost, but an exporter that is to stop must stop.
    async fn push_a_last_time(&mut self, receiver: &Receiver) {
        let (_nobody, unchanging) = watch::channel(None);
        let mut client = receiver.client();
        let due = Instant::now() + LAST;
        let pushed = async {
            let collection = self.collect(true).await;
            self.push(collection, receiver, &mut client, due, &unchanging).await
        };
        if timeout(LAST, pushed).await != Ok(Delivery::Taken) {
            let endpoint = &receiver.settings().target;
            tracing::warn!(%endpoint, "the last push over OTLP was not taken");
        }
    }

    /// What is there to push; deltas go on under its labels from where the last push left them.
    async fn collect(&mut self, fresh: bool) -> Result<Collection, CollectError> {
        let (collection, relabelled) = self.collector.to_push(fresh).await?;
        if let Some(relabelled) = relabelled {
            self.deltas.relabel_all(relabelled);
        }
        Ok(collection)
    }

    /// Sends all that was collected, until `due` at the latest, and says what changed since the last time.
    async fn push(
        &mut self,
        collection: Result<Collection, CollectError>,
        receiver: &Receiver,
        client: &mut Client,
        due: Instant,
        destination: &Destination,
    ) -> Delivery {
        let delivery = match collection {
            Ok(collection) => self.push_all(&collection, receiver, client, due, destination).await,
            Err(error) => {
                self.trouble = Some((Trouble::Collection, error.to_string()));
                Delivery::Refused
            }
        };
        self.tell();
        delivery
    }

    async fn push_all(
        &mut self,
        Collection { at, shown, .. }: &Collection,
        receiver: &Receiver,
        client: &mut Client,
        due: Instant,
        destination: &Destination,
    ) -> Delivery {
        let settings = receiver.settings();
        let temporality = settings.temporality;
        let style = Style {
            temporality,
            names: settings.names,
            explicit: match settings.histograms {
                HistogramForm::Exponential => None,
                HistogramForm::Explicit => Some(&*shown.pushed_histograms),
            },
        };
        let at = nanos(*at);
        if self.starts.fit(&shown.pushed, at) {
            self.tally.add(Push::StartResets, 1);
            tracing::warn!(
                "push over OTLP: the clock was set back behind the start of series; they get new start times"
            );
        }
        let mut all = Delivery::Taken;
        for part in split(&shown.pushed, LARGEST_REQUEST) {
            let readings = match temporality {
                Temporality::Cumulative => reading::cumulative(&part, self.starts, at),
                Temporality::Delta => self.deltas.readings(&part, self.starts, at),
            };
            let request = encode::request(&self.resource, style, readings);
            match self.deliver(request, receiver, client, due, destination).await {
                Delivery::Taken => self.deltas.acknowledge(&part, at),
                Delivery::Refused => all = Delivery::Refused,
                given_up @ Delivery::GivenUp(_) => return given_up,
            }
        }
        if temporality == Temporality::Cumulative {
            // What was counted under labels that are no more is in what these were told.
            if all == Delivery::Taken {
                self.deltas.acknowledge_closed(usize::MAX);
            }
            return all;
        }
        // A reload may have closed more than one request takes.
        loop {
            let closed = self.deltas.closed(at, LARGEST_REQUEST);
            if closed.is_empty() {
                return all;
            }
            let request = encode::request(&self.resource, style, closed);
            match self.deliver(request, receiver, client, due, destination).await {
                Delivery::Taken => self.deltas.acknowledge_closed(LARGEST_REQUEST),
                not_taken @ (Delivery::Refused | Delivery::GivenUp(_)) => return not_taken,
            }
        }
    }

    /// Sends one request, and again as long as there is hope and time.
    async fn deliver(
        &mut self,
        request: ExportMetricsServiceRequest,
        receiver: &Receiver,
        client: &mut Client,
        due: Instant,
        destination: &Destination,
    ) -> Delivery {
        if encode::is_empty(&request) {
            return Delivery::Taken;
        }
        let parcel = client.pack(request);
        let mut attempt = 1;
        loop {
            let answer = tokio::select! {
                answer = client.send(&parcel) => answer,
                () = interrupted(destination, GRACE) => Answer::Silence { why: "there was no time left".to_owned() },
            };
            let (after, why) = match answer {
                Answer::Taken { rejected, message } => return self.taken(rejected, &message),
                Answer::Refused { why } => {
                    self.tally.add(Push::Refused, 1);
                    self.trouble = Some((Trouble::Refusal, why));
                    return Delivery::Refused;
                }
                Answer::TryAgain { after, why } => (after, why),
                Answer::Silence { why } => {
                    *client = receiver.client();
                    (None, why)
                }
            };
            tracing::debug!(attempt, why, "push over OTLP: no success yet");
            let wait = pause(after, attempt, rand::random());
            let is_over = Instant::now() + wait >= due;
            let goes_on = !is_over
                && tokio::select! {
                    () = sleep(wait) => true,
                    () = interrupted(destination, Duration::ZERO) => false,
                };
            if !goes_on {
                self.tally.add(Push::Failed, 1);
                self.trouble = Some((Trouble::Silence, why));
                return Delivery::GivenUp(after.map(|_| wait));
            }
            self.tally.add(Push::Retries, 1);
            attempt += 1;
        }
    }

    fn taken(&mut self, rejected: u64, message: &str) -> Delivery {
        self.tally.taken(since_1970().as_secs_f64());
        if rejected == 0 {
            self.tally.add(Push::Success, 1);
        } else {
            self.tally.add(Push::Partial, 1);
            self.tally.add(Push::RejectedPoints, rejected);
        }
        match (rejected, message) {
            (0, "") => {}
            (0, _) => self.trouble = Some((Trouble::Remark, message.to_owned())),
            (_, _) => self.trouble = Some((Trouble::Rejection, message.to_owned())),
        }
        Delivery::Taken
    }

    /// Logs each kind of fault when it begins, now and then while it lasts, and when it is over.
    fn tell(&mut self) {
        let trouble = self.trouble.take();
        if let Some((kind, why)) = &trouble
            && let Some(silent) = self.log.log(kind.as_str())
        {
            let why = if why.is_empty() {
                String::new()
            } else {
                format!(": {why}")
            };
            tracing::warn!(not_logged = silent, "push over OTLP: {}{why}", kind.as_str());
        }
        let others = Trouble::ALL
            .into_iter()
            .filter(|kind| trouble.as_ref().is_none_or(|(lasts, _)| lasts != kind));
        // All of them, so that none is left to be told of later.
        let over = others.filter(|kind| self.log.over(kind.as_str())).count();
        if trouble.is_none() && over > 0 {
            tracing::info!("push over OTLP: the receiver takes the metrics again");
        }
    }
}

/// The destination has changed, or its sender is gone, for so long. It stays to be noticed by whoever waits for it.
async fn interrupted(destination: &Destination, grace: Duration) {
    // An error is the end, which is a change too.
    let _ended = destination.clone().changed().await;
    sleep(grace).await;
}

#[cfg(test)]
mod tests;

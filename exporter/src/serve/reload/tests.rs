//! What a reload changes, and what it leaves as it was.

use super::*;
use crate::serve::collect::tests::collector;
use std::fs::{create_dir, rename, write};
use tempfile::TempDir;

/// An exporter of a recording, with a configuration in a folder of its own.
struct Scene {
    folder: TempDir,
    reloader: Arc<Reloader>,
    pushed_to: watch::Receiver<Option<Arc<Receiver>>>,
}

impl Scene {
    fn new(config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        write(folder.path().join("ca.pem"), certificate()).unwrap();
        write(folder.path().join("config.yaml"), config).unwrap();
        let origin = origin(&folder);
        let (sources, wanted) = read(&origin);
        let Wanted {
            config,
            settings,
            receiver,
        } = wanted.unwrap();
        let (destination, pushed_to) = watch::channel(receiver.unwrap());
        let files = Arc::new(Worker::start("files", ()).unwrap());
        let collector = Arc::new(collector(&config));
        Self {
            reloader: Arc::new(Reloader::new(origin, files, sources, settings, collector, destination)),
            folder,
            pushed_to,
        }
    }

    fn write(&self, name: &str, text: &str) {
        write(self.folder.path().join(name), text).unwrap();
    }

    /// Whether there is another receiver since this was last asked.
    fn has_another_receiver(&mut self) -> bool {
        let has_changed = self.pushed_to.has_changed().unwrap();
        assert!(self.pushed_to.borrow_and_update().is_some());
        has_changed
    }
}

fn origin(folder: &TempDir) -> Origin {
    Origin {
        file: Some(folder.path().join("config.yaml")),
        recorded: None,
        telemetry_path: "/fleet".to_owned(),
    }
}

fn certificate() -> String {
    let name = ["localhost".to_owned()];
    rcgen::generate_simple_self_signed(name).unwrap().cert.pem()
}

const CONFIG: &str = "{findings: {enabled: false}, otlp: {endpoint: 'https://localhost:1', tls: {ca_file: ca.pem}}}";

#[tokio::test]
async fn keys_in_force_are_followed_whatever_became_of_the_last_reload() {
    let mut scene = Scene::new(CONFIG);
    for wrong in ["subnet: []", "{workloads: {source: cgroup}, otlp: {}}"] {
        scene.write("config.yaml", wrong);
        scene.reloader.reload(Reason::Signal).await.unwrap_err();
        assert!(scene.reloader.has_files(false));
        scene.reloader.follow(true).await;
        assert!(!scene.has_another_receiver(), "{wrong}");
        scene.write("ca.pem", &certificate());
        scene.reloader.follow(true).await;
        assert!(scene.has_another_receiver(), "{wrong}");
    }
    scene.write("config.yaml", CONFIG);
    scene.reloader.follow(true).await;
    assert!(!scene.has_another_receiver());
}

#[tokio::test]
async fn a_reload_that_a_certificate_made_fail_is_tried_again_when_that_changes() {
    let mut scene = Scene::new(CONFIG);
    scene.write("config.yaml", &CONFIG.replace("ca.pem", "new.pem"));
    scene.reloader.reload(Reason::Signal).await.unwrap_err();
    scene.write("new.pem", &certificate());
    scene.reloader.follow(true).await;
    assert!(scene.has_another_receiver());
}

/// A reload in which `ca.pem` is named by a variable.
fn reload_by_variables(reloader: &Reloader, folder: &TempDir) {
    let variable = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("https://localhost:1".to_owned()),
        "OTEL_EXPORTER_OTLP_CERTIFICATE" => Some(folder.path().join("ca.pem").display().to_string()),
        _ => None,
    };
    let (settings, _) = Config::built_in().otlp.settings(variable).unwrap();
    let mut state = reloader.state();
    state.sources.keys = keys_of(settings.as_ref());
    let receiver = push::receiver(settings.clone()).unwrap();
    state.push_by(settings, receiver);
}

#[tokio::test]
async fn a_certificate_of_a_variable_is_followed_and_half_of_one_ends_no_push() {
    let mut scene = Scene::new(CONFIG);
    let reload = |scene: &mut Scene| {
        reload_by_variables(&scene.reloader, &scene.folder);
        scene.has_another_receiver()
    };
    assert!(reload(&mut scene));
    assert!(!reload(&mut scene));
    scene.write("ca.pem", &certificate());
    assert!(reload(&mut scene));
    scene.write("ca.pem", "half");
    assert!(!reload(&mut scene));
    scene.write("ca.pem", &certificate());
    scene.reloader.follow(false).await;
    assert!(scene.has_another_receiver());
}

#[test]
fn a_folder_of_networks_that_is_missing_for_a_moment_is_followed_all_the_same() {
    let folder = TempDir::new().unwrap();
    let [config, networks, away] = ["config.yaml", "networks", "away"].map(|name| folder.path().join(name));
    write(config, "subnets_files: ['networks/*.csv']").unwrap();
    create_dir(&networks).unwrap();
    write(networks.join("a.csv"), "10.0.0.0/8,dc\n").unwrap();
    let (sources, wanted) = read(&origin(&folder));
    assert!(wanted.is_ok() && !sources.have_changed());
    rename(&networks, &away).unwrap();
    assert!(sources.have_changed());
    let (sources, wanted) = read(&origin(&folder));
    assert!(wanted.is_err() && !sources.have_changed());
    rename(&away, &networks).unwrap();
    assert!(sources.have_changed());
}

#[tokio::test]
async fn a_view_at_the_path_of_the_metrics_is_refused() {
    let scene = Scene::new("views: [{name: fleet}]");
    scene.write("config.yaml", "views: [{name: fleet, path: /fleet}]");
    let error = scene.reloader.reload(Reason::Signal).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "--web.telemetry-path: /fleet is the path of the view \"fleet\" too; give one of them another path"
    );
}

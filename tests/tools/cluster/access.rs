//! Who may do what in the cluster: the authority, certificates, the keys that sign tokens, and the files by which programs find the
//! API server. Into the folder of one run.

use std::fs::{create_dir_all, write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use serde_json::json;

use crate::node::{API_ADDRESS, API_PORT, NODE, NODE_ADDRESS};

/// Files by name, as programs want them.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    folder: PathBuf,
}

impl Access {
    /// Makes everything.
    pub(crate) fn make(folder: &Path) -> Result<Self> {
        create_dir_all(folder)?;
        let access = Self {
            folder: folder.to_owned(),
        };
        let authority = Authority::new()?;
        write(access.file("ca.crt"), authority.0.pem())?;
        let loopback = "127.0.0.1";
        let names = [
            "kubernetes.default.svc",
            "localhost",
            loopback,
            NODE_ADDRESS,
            API_ADDRESS,
        ];
        access.server(&authority, "apiserver", &names)?;
        access.server(&authority, "kubelet-server", &[NODE, loopback, NODE_ADDRESS])?;
        // The first group may do everything; nobody tests the rights of the controllers here.
        for (name, user, group) in [
            ("admin", "admin", "system:masters"),
            ("controllers", "system:kube-controller-manager", "system:masters"),
            ("scheduler", "system:kube-scheduler", "system:masters"),
            ("to-kubelet", "kube-apiserver-kubelet-client", "system:masters"),
            ("kubelet", &format!("system:node:{NODE}"), "system:nodes"),
        ] {
            access.client(&authority, name, user, group)?;
        }
        for name in ["tokens-1", "tokens-2"] {
            let key = KeyPair::generate()?;
            write(access.file(&format!("{name}.key")), key.serialize_pem())?;
            write(access.file(&format!("{name}.pub")), key.public_key_pem())?;
        }
        Ok(access)
    }

    /// A file: `ca.crt`, `NAME.crt`, `NAME.key`, `NAME.pub`, `NAME.json`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn server(&self, authority: &Authority, name: &str, names: &[&str]) -> Result<()> {
        let mut params = params(name, None, ExtendedKeyUsagePurpose::ServerAuth);
        for name in names {
            let name = match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName((*name).try_into()?),
            };
            params.subject_alt_names.push(name);
        }
        self.sign(authority, name, params)
    }

    fn client(&self, authority: &Authority, name: &str, user: &str, group: &str) -> Result<()> {
        let params = params(user, Some(group), ExtendedKeyUsagePurpose::ClientAuth);
        self.sign(authority, name, params)?;
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {
                "server": format!("https://127.0.0.1:{API_PORT}"), "certificate-authority": self.file("ca.crt"),
            }}],
            "users": [{"name": name, "user": {
                "client-certificate": self.file(&format!("{name}.crt")), "client-key": self.file(&format!("{name}.key")),
            }}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
        });
        Ok(write(self.file(&format!("{name}.json")), config.to_string())?)
    }

    fn sign(&self, authority: &Authority, name: &str, params: CertificateParams) -> Result<()> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &authority.0)?;
        write(self.file(&format!("{name}.crt")), certificate.pem())?;
        Ok(write(self.file(&format!("{name}.key")), key.serialize_pem())?)
    }
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }
}

/// Kubernetes takes the common name for the user and the organization for the group.
fn params(user: &str, group: Option<&str>, purpose: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, user);
    if let Some(group) = group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    params
}

//! Takes up a changed trust bundle without a restart, so that a rotation of the
//! authority drops no call.

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::{Authority, AuthorityError, AuthorityFiles};
use crate::rpc::peer::PeerJudge;

const LOOK: Duration = Duration::from_secs(5);

/// Follows the bundle's file.
pub struct TrustFollower {
    files: AuthorityFiles,
    judge: Arc<PeerJudge>,
    seen: Mutex<Option<Vec<u8>>>,
}

impl TrustFollower {
    /// The judge trusts what the file holds now.
    pub fn new(files: AuthorityFiles, judge: Arc<PeerJudge>) -> Self {
        let seen = Mutex::new(fs::read(&files.trust).ok());
        Self { files, judge, seen }
    }

    /// Takes up the file where it changed. Returns whether it did. A file that cannot be
    /// used changes nothing.
    pub fn look(&self) -> Result<bool, AuthorityError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = fs::read(&self.files.trust).ok();
        if now == *seen {
            return Ok(false);
        }
        // Told once, also where it is of no use.
        *seen = now;
        let authority = Authority::open(&self.files)?;
        let bundle = authority.trust_bundle().map_err(|error| AuthorityError::Content {
            path: self.files.trust.clone(),
            message: error.to_string(),
        })?;
        self.judge.replace_bundle(bundle);
        Ok(true)
    }

    /// Looks until told to stop.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            match self.look() {
                Ok(true) => tracing::info!("took up the changed trust bundle"),
                Ok(false) => {}
                Err(error) => tracing::error!(%error, "the trust bundle stays as it was"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use jiff::{SignedDuration, Timestamp};
    use rcgen::{CertificateParams, KeyPair};
    use streamspace_core::access::Role;

    use super::*;
    use crate::{
        access::{
            Grant, Standings,
            ca::{Kind, RequestedKey},
        },
        rpc::peer::PeerInfo,
    };

    /// A peer with a certificate of this authority.
    fn peer_of(authority: &Authority) -> PeerInfo {
        let key = KeyPair::generate().unwrap();
        let request = CertificateParams::default().serialize_request(&key).unwrap();
        let key = RequestedKey::from_request(request.der()).unwrap();
        let grant = Grant { operator: "ops-1".into(), role: Role::Viewer, tenants: vec![] };
        let now = Timestamp::now();
        let end = now + SignedDuration::from_hours(1);
        let issued = authority.issue(&key, Kind::Client, &grant, now, end).unwrap();
        PeerInfo::new(SocketAddr::from(([127, 0, 0, 1], 1)), vec![issued.certificate])
    }

    #[test]
    fn an_authority_that_is_added_is_trusted_and_a_damaged_file_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let authority = |name: &str| {
            let files = AuthorityFiles::in_folder(&folder.path().join(name));
            fs::create_dir(folder.path().join(name)).unwrap();
            let authority = Authority::create(&files, "us-east-1", Timestamp::now()).unwrap();
            (files, authority)
        };
        let (files, old) = authority("old");
        let (next_files, next) = authority("next");
        let status = Arc::new(Standings::new());
        let judge = Arc::new(PeerJudge::new(old.trust_bundle().unwrap(), status));
        let follower = TrustFollower::new(files.clone(), Arc::clone(&judge));
        let trusts = |authority| judge.judge(&peer_of(authority), Timestamp::now()).is_ok();
        assert!(trusts(&old) && !trusts(&next));
        assert!(!follower.look().unwrap(), "nothing changed");

        let both = [&files.trust, &next_files.trust].map(|path| fs::read_to_string(path).unwrap());
        fs::write(&files.trust, both.concat()).unwrap();
        assert!(follower.look().unwrap());
        assert!(trusts(&old) && trusts(&next));

        fs::write(&files.trust, "no certificate").unwrap();
        assert!(follower.look().is_err());
        assert!(trusts(&old) && trusts(&next));
        assert!(!follower.look().unwrap(), "told once");
    }
}

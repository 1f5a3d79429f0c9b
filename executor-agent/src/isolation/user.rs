//! The user that tasks run as.

use std::path::Path;

use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

/// A user of this machine other than the agent's own.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) identity: Identity,
    /// As the task is told.
    pub(crate) name: String,
    pub(crate) home: String,
}

/// Whose rights a process has. It has no supplementary groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Why tasks cannot run as somebody.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    #[error("--run-as needs an agent that runs as root; this one runs as user {0}")]
    NotRoot(u32),
    #[error("--run-as {0}: there is no such user on this machine; write USER or USER:GROUP")]
    NoUser(String),
    #[error("--run-as {0}: there is no such group on this machine")]
    NoGroup(String),
    #[error("--run-as {0}: a number says nothing of its group: write UID:GID")]
    GroupMissing(String),
    #[error("--run-as {0}: root may read whatever the agent may; choose another user")]
    Root(String),
    #[error("--run-as {text}: this machine's users cannot be looked up: {error}")]
    Unknown { text: String, error: nix::Error },
}

impl User {
    /// The user of `USER` or `USER:GROUP`, each a name or a number.
    pub(crate) fn look_up(text: &str) -> Result<Self, UserError> {
        let own = geteuid();
        if !own.is_root() {
            return Err(UserError::NotRoot(own.as_raw()));
        }
        let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
        let unknown = |error| UserError::Unknown { text: text.to_owned(), error };
        let known = nix::unistd::User::from_name(user).map_err(unknown)?;
        let known = match (known, user.parse()) {
            (None, Ok(uid)) => nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).map_err(unknown)?,
            (known, _) => known,
        };
        let group = group.map(|group| group_id(group).map_err(unknown)).transpose()?;
        let group = match group {
            Some(None) => return Err(UserError::NoGroup(text.to_owned())),
            Some(found) => found,
            None => None,
        };
        let found = match (known, user.parse(), group) {
            (Some(known), _, group) => Self {
                identity: Identity { uid: known.uid.as_raw(), gid: group.unwrap_or(known.gid.as_raw()) },
                home: path(&known.dir),
                name: known.name,
            },
            // A number needs no entry in the list of users.
            (None, Ok(uid), Some(gid)) => {
                Self { identity: Identity { uid, gid }, name: user.to_owned(), home: "/".to_owned() }
            }
            (None, Ok(_), None) => return Err(UserError::GroupMissing(text.to_owned())),
            (None, Err(_), _) => return Err(UserError::NoUser(text.to_owned())),
        };
        if found.identity.uid == 0 {
            return Err(UserError::Root(text.to_owned()));
        }
        Ok(found)
    }
}

fn group_id(group: &str) -> nix::Result<Option<u32>> {
    let known = nix::unistd::Group::from_name(group)?;
    Ok(known.map(|known| known.gid.as_raw()).or_else(|| group.parse().ok()))
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_and_number_and_root_is_none() {
        if !geteuid().is_root() {
            eprintln!("SKIPPED: only root may choose a user for tasks");
            return;
        }
        let nobody = User::look_up("nobody").expect("every system has it");
        assert_ne!(nobody.identity.uid, 0);
        let by_number = User::look_up(&nobody.identity.uid.to_string()).expect("known");
        assert_eq!((by_number.identity, by_number.name.as_str()), (nobody.identity, "nobody"));
        let other_group = User::look_up("nobody:12345").expect("a number is a group");
        assert_eq!(other_group.identity, Identity { uid: nobody.identity.uid, gid: 12345 });
        let unlisted = User::look_up("54321:12345").expect("numbers need no entry");
        assert_eq!(unlisted.identity, Identity { uid: 54321, gid: 12345 });
        for wrong in ["root", "0:1", "54321", "no-such-user-here", "nobody:no-such-group-here", ""] {
            assert!(User::look_up(wrong).is_err(), "{wrong:?}");
        }
    }
}

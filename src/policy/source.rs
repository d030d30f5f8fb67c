//! Policy texts: from a folder of `*.cedar`, or the built-in ones.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// One file of policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyText {
    /// The file's name, for messages and for policies without `@id`.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// The folder or a file in it can't be read, or could be written by others.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The system said no.
    #[error("could not read `{path}`")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Somebody else could change what is permitted.
    #[error("`{0}` can be written by others: `chmod go-w` it")]
    Writable(PathBuf),
    /// One file is larger than any set of policies.
    #[error("`{0}` is larger than {max} bytes", max = crate::limits::POLICY_FILE_BYTES_MAX)]
    TooLarge(PathBuf),
}

/// What is in force where no folder exists.
pub fn builtin() -> Vec<PolicyText> {
    vec![PolicyText { name: "builtin.cedar".to_owned(), text: include_str!("builtin.cedar").to_owned() }]
}

/// Every `*.cedar` of the folder, sorted by name; other files are passed over.
pub fn read_folder(folder: &Path) -> Result<Vec<PolicyText>, Unreadable> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Unreadable::Io { path, source }
    };
    let mut texts = Vec::new();
    refuse_writable(folder, &fs::metadata(folder).map_err(failed(folder))?)?;
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        if path.extension().is_none_or(|extension| extension != "cedar") {
            continue;
        }
        let metadata = fs::metadata(&path).map_err(failed(&path))?;
        refuse_writable(&path, &metadata)?;
        if metadata.len() > crate::limits::POLICY_FILE_BYTES_MAX {
            return Err(Unreadable::TooLarge(path));
        }
        let text = fs::read_to_string(&path).map_err(failed(&path))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        texts.push(PolicyText { name, text });
    }
    texts.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(texts)
}

fn refuse_writable(path: &Path, metadata: &fs::Metadata) -> Result<(), Unreadable> {
    use std::os::unix::fs::PermissionsExt as _;
    if metadata.permissions().mode() & 0o022 != 0 {
        return Err(Unreadable::Writable(path.to_owned()));
    }
    Ok(())
}

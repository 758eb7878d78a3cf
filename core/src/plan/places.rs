//! Where things are to stand besides the generation's own files, so that no two want the same place.

use super::{Form, Ids, InnerLink, Outside, Source, Target};
use crate::error::{Error, Result};
use crate::generation;
use crate::manifest::name::{Name, collision};
use crate::manifest::path::AbsolutePath;
use crate::manifest::{Install, Installation, Manifest};
use std::collections::HashMap;

/// The places that a manifest wants.
pub(super) struct Places<'a> {
    manifest: &'a Manifest,
    /// The places of targets that do not lie where they are wanted. Those that do have their names, which nobody shares.
    taken: HashMap<&'a AbsolutePath, Source<'a>>,
    inner_links: Vec<InnerLink>,
}

impl<'a> Places<'a> {
    pub(super) fn new(manifest: &'a Manifest) -> Self {
        Self { manifest, taken: HashMap::new(), inner_links: Vec::new() }
    }

    /// Takes the place where a target is wanted, and gives what is to stand there if that is outside of the generation.
    pub(super) fn add(
        &mut self,
        position: usize,
        source: Source<'a>,
        file: &str,
        installation: &'a Installation,
        ids: Option<Ids>,
    ) -> Result<Option<Outside>> {
        let path = &installation.path;
        let below = path.below(&self.manifest.symlink_path);
        if installation.install == Install::Copy && below.is_some() {
            return Err(Error::new("`install: copy` has no meaning where the secret itself lies")
                .help("set `path` to the place where the copy is wanted, or take `install` out"));
        }
        if below == Some(file) {
            return Ok(None);
        }
        if let Some(other) = self.taken.insert(path, source) {
            return Err(twice(path, other));
        }
        self.check_store(path)?;
        let target = self.manifest.symlink_path.join(file);
        if let Some(name) = below {
            self.inner_links.push(InnerLink { name: name.to_owned(), target, ids, of: position });
            return Ok(None);
        }
        let form = match installation.install {
            Install::Link => Form::Link(target),
            Install::Copy => Form::Copy(installation.access.mode),
        };
        Ok(Some(Outside { path: path.clone(), form, ids, on_conflict: installation.on_conflict }))
    }

    /// What the store itself needs is nobody's place.
    fn check_store(&self, path: &AbsolutePath) -> Result<()> {
        let (mount_point, link) = (&self.manifest.mount_point, &self.manifest.symlink_path);
        let first = path.below(mount_point).and_then(|below| below.split('/').next());
        let is_ours = |name: &str| generation::number_of(name).is_some() || generation::is_reserved(name);
        let is_lock = || {
            let lock = mount_point.as_path().file_name().map(generation::lock_name);
            path.as_path().parent() == mount_point.as_path().parent() && path.as_path().file_name() == lock.as_deref()
        };
        if path == link || path == mount_point || first.is_some_and(is_ours) || is_lock() {
            return Err(Error::new(format!("its path {path} is where the secrets themselves lie"))
                .help("choose another `path`"));
        }
        Ok(())
    }

    fn is_at_its_place(&self, target: &Target<'_>) -> bool {
        target.source.installation().path.below(&self.manifest.symlink_path) == Some(&target.file)
    }

    /// Looks at all places together.
    pub(super) fn finish(self, targets: &[Target<'_>]) -> std::result::Result<Vec<InnerLink>, Vec<Error>> {
        let mut errors = Vec::new();
        // In the order of paths what lies below a path stands behind it, other things of the same beginning apart.
        let link = &self.manifest.symlink_path;
        let mut outside: Vec<_> = self.taken.iter().filter(|(path, _)| path.below(link).is_none()).collect();
        outside.sort_unstable_by_key(|(path, _)| **path);
        let mut above: Vec<(&AbsolutePath, Source<'_>)> = Vec::new();
        for (path, source) in outside {
            above.retain(|(directory, _)| path.below(directory).is_some());
            if let Some((directory, other)) = above.first() {
                errors.push(
                    Error::new(format!("its path {path} lies below {directory}, which is the path of the {other}"))
                        .help("change one of them")
                        .of(source),
                );
            }
            above.push((path, *source));
        }
        let mut names = Vec::new();
        let at_their_place: HashMap<&str, Source<'_>> = match self.inner_links.is_empty() {
            true => HashMap::new(),
            false => targets.iter().filter(|target| self.is_at_its_place(target)).map(by_file).collect(),
        };
        for inner in &self.inner_links {
            let source = targets.get(inner.of).map_or_else(String::new, |target| target.source.to_string());
            if let Some(other) = at_their_place.get(inner.name.as_str()) {
                errors.push(twice(&link.join(&inner.name), *other).of(source));
                continue;
            }
            match Name::new(&inner.name) {
                Ok(name) => names.push(name),
                Err(why) => errors.push(
                    Error::new(format!("its path below {} {why}", self.manifest.symlink_path))
                        .help("choose another `path`")
                        .of(source),
                ),
            }
        }
        if !names.is_empty() {
            names.extend(targets.iter().filter_map(|target| Name::new(&target.file).ok()));
            if let Some((a, b)) = collision(names.iter()) {
                errors.push(
                    Error::new(format!(
                        "two files in {} collide: `{a}` and `{b}` cannot both exist",
                        self.manifest.symlink_path
                    ))
                    .help("change the `path` or the name of one of them"),
                );
            }
        }
        if errors.is_empty() { Ok(self.inner_links) } else { Err(errors) }
    }
}

fn by_file<'t>(target: &'t Target<'_>) -> (&'t str, Source<'t>) {
    (&target.file, target.source)
}

fn twice(path: &AbsolutePath, other: Source<'_>) -> Error {
    Error::new(format!("its path {path} is also that of the {other}")).help("change one of them")
}

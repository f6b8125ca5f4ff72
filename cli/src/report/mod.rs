//! `report.html`: one file that opens from the disk, with everything in it.

mod bench;
mod canvas;
mod command;
mod doctor;
mod frame;
mod histogram;
mod images;
mod init;
mod line;
mod material;
mod numbers;
mod page;
mod roofline;
mod scatter;
mod search;
mod test_set;
mod training;
mod weights;

use crate::error::Outcome;
use crate::files;
use crate::metrics::Log;
use material::Material;
use page::Page;
use std::path::{Path, PathBuf};

pub(crate) use command::{ReportArgs, report};
pub(crate) use numbers::{bytes, duration, thousands};

/// The name of the file in a directory.
pub(crate) const FILE: &str = "report.html";

/// Writes the report of everything that the directory holds: a run, the doctor's checks, the initialisation
/// experiment, a search, a benchmark.
pub(crate) fn rebuild(directory: &Path) -> Outcome<()> {
    save(directory, &Material::of(directory)?)
}

/// As [`rebuild`], with the run's measurements as they are in memory.
pub(crate) fn write(directory: &Path, log: &Log) -> Outcome<()> {
    save(directory, &Material { run: Some(log.clone()), ..Material::beside_run(directory)? })
}

/// Writes the report of searches into `file`.
fn of_journals(journals: &[PathBuf], file: &Path) -> Outcome<()> {
    let material = Material::of_journals(journals)?;
    files::write_atomically(file, html(&material)?.as_bytes())
}

fn save(directory: &Path, material: &Material) -> Outcome<()> {
    files::write_atomically(&directory.join(FILE), html(material)?.as_bytes())
}

fn html(material: &Material) -> Outcome<String> {
    let mut page = Page::default();
    compose(&mut page, material).map_err(|failure| failure.at(FILE))?;
    let foot = material
        .run
        .as_ref()
        .map_or_else(|| format!("slicewise {}", env!("CARGO_PKG_VERSION")), training::foot);
    Ok(page.finish(&foot))
}

fn compose(page: &mut Page, material: &Material) -> Outcome<()> {
    if let Some(log) = &material.run {
        training::draw(page, log)?;
        if let Some(test) = &log.test {
            test_set::draw(page, test)?;
        }
        if let Some(model) = &material.model {
            weights::draw(page, model)?;
        }
        training::details(page, log);
    }
    if !material.checks.is_empty() {
        doctor::draw(page, &material.checks)?;
    }
    if !material.init.is_empty() {
        init::draw(page, &material.init)?;
    }
    if !material.studies.is_empty() {
        search::draw(page, &material.studies)?;
    }
    if let Some(machine) = &material.machine {
        bench::draw(page, machine, &material.kernels)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

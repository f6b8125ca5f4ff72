//! `slicewise train`.

use crate::args::TrainArgs;
use crate::best::Best;
use crate::console::Console;
use crate::data::Splits;
use crate::error::{Failure, Outcome};
use crate::evaluate::{Evaluator, threads};
use crate::fit::{Fit, Trained};
use crate::inputs::Preprocess;
use crate::live::Live;
use crate::metrics::{Done, Epoch, Event, Start};
use crate::model::{BEST, Model, Training};
use crate::network::{self, Memory};
use crate::options::{LevelChoice, Options, name_of};
use crate::pool::{Net, Pool};
use crate::report::{bytes, duration, thousands};
use crate::run::Run;
use crate::{interrupt, run};
use rand_pcg::Pcg64;
use slicewise::{Layer, Level, Network, Parallel, arena_len_on};
use std::path::Path;
use std::time::Instant;

/// Trains a network, or goes on training one.
pub(crate) fn train(arguments: &TrainArgs) -> Outcome<()> {
    interrupt::watch()?;
    let pool = Pool::new(threads(arguments.machine.threads))?;
    pool.run(|| train_on(&pool, arguments))
}

fn train_on(pool: &Pool, arguments: &TrainArgs) -> Outcome<()> {
    let console = Console::new(arguments.machine.json);
    let plan = match &arguments.resume {
        Some(directory) => Plan::resumed(arguments, directory, console)?,
        None => Plan::new(arguments)?,
    };
    let Plan { options, splits, level, checkpoint } = &plan;
    let preprocess = match checkpoint {
        Some((model, _)) => Preprocess::of(model),
        None => Preprocess::fit(*level, &splits.train, options)?,
    };
    let layers = network::layers(&network::describe(options, preprocess.width(), splits.classes.len()));
    let rows = options.batch.min(splits.train.len());
    if rows == 1 && network::normalises(&layers) {
        return Err(Failure::unusable("batch norm needs --batch 2 or more; or choose --norm none"));
    }
    let len = arena_len_on(&layers, rows, pool.threads());
    let mut memory = Memory::new(len)?;
    let evaluator = Evaluator { layers: &layers, level: *level, threads: pool.threads() };
    let net = bind(&layers, rows, *level, pool, memory.slice(), options)?;
    let mut fit = Fit::new(net, evaluator, options, splits, &preprocess, rows)?;
    let mut epoch = 0;
    if let Some((model, training)) = checkpoint {
        if let Some(measured) = training.best {
            network::import_prefixed(model, BEST, &mut fit.net);
            fit.best = Best::resumed(measured, &fit.net);
        }
        network::import(model, &mut fit.net);
        network::import_state(model, &mut fit.net, options)?;
        fit.net.set_steps(training.steps);
        fit.first_loss = training.first_loss;
        epoch = training.epoch;
    }

    let start = Start {
        params: network::parameters(&layers),
        arena_bytes: len * size_of::<f32>(),
        level: level.name().into(),
        network: network::summary(options, preprocess.width(), splits.classes.len()),
        matrices: network::matrices(&layers),
        data: splits.into(),
        options: options.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    let mut run = match (&arguments.resume, &arguments.out) {
        (Some(directory), _) => Some(Run::resume(directory, &start, epoch, splits.checksum())?),
        (None, Some(directory)) => Some(Run::create(directory, &start, &fit, options, splits)?),
        (None, None) => None,
    };
    console.result(&Event::Start(Box::new(start.clone())), || heading(&start, epoch))?;
    if !arguments.plain && console.is_wide_terminal() {
        fit.live = Some(Live::new(options.epochs, &start.matrices));
    } else {
        console.say(|| COLUMNS.into())?;
    }
    let begun = Instant::now();
    while epoch < options.epochs && !fit.is_stuck(epoch) {
        epoch += 1;
        let measured = match fit.epoch(epoch)? {
            Trained::Epoch(measured) => measured,
            Trained::Interrupted => return Err(interrupted(epoch, run.as_ref())),
            Trained::Diverged(what) => {
                let lr = options.lr;
                return Err(Failure::failed(format!(
                    "epoch {epoch}: {what}: choose an --lr smaller than {lr}"
                )));
            }
        };
        if let Some(run) = &mut run {
            run.epoch(&measured, &fit, options, splits)?;
        }
        if fit.live.is_none() {
            console.result(&Event::Epoch(measured.clone()), || line(&measured))?;
        }
    }
    let test = fit.test()?;
    // The last view stays on the screen.
    fit.live = None;
    let done = Done {
        best_epoch: fit.best.measured().map_or(epoch, |best| best.epoch),
        stopped_early: epoch < options.epochs,
        test_loss: test.loss,
        test_acc: test.accuracy(),
        seconds: begun.elapsed().as_secs_f64(),
        heap_allocations_in_steps: fit.allocations,
    };
    if let Some(run) = &mut run {
        run.done(&done, &fit, options, splits)?;
    }
    console.result(&Event::Done(done.clone()), || ending(console, &done, &fit, run.as_ref()))
}

/// What to train, on what, and from where.
struct Plan {
    options: Options,
    splits: Splits,
    level: Level,
    checkpoint: Option<(Model, Training)>,
}

impl Plan {
    fn new(arguments: &TrainArgs) -> Outcome<Self> {
        let level = network::level(arguments.machine.level)?;
        if let Some(directory) = &arguments.out {
            run::check_new(directory)?;
        }
        let splits = arguments.data.source().load(arguments.data.label.as_deref())?;
        let options = arguments.options(splits.train.len(), splits.train.shape.channels)?;
        Ok(Self { options, splits, level, checkpoint: None })
    }

    /// The options are the checkpoint's, but for where the data is, how long to train, and the machine.
    fn resumed(arguments: &TrainArgs, directory: &Path, console: Console) -> Outcome<Self> {
        let (model, training) = Model::read_checkpoint(directory)?;
        let mut options = training.options.clone();
        if let Some(data) = &arguments.data.data {
            options.data = data.clone();
        }
        if let Some(epochs) = arguments.epochs {
            options.epochs = epochs;
        }
        options.patience = arguments.patience.or(options.patience);
        if options.epochs < training.epoch {
            let message = format!("{} epochs are done already: --epochs must not be less", training.epoch);
            return Err(Failure::unusable(message).at(directory.display()));
        }
        let level = match arguments.machine.level {
            LevelChoice::Auto => Level::by_name(&training.level).unwrap_or_else(|| {
                // From one level with fused multiply-add to another: the same bits.
                if Level::detect() == Level::Portable {
                    let begun = &training.level;
                    console.note(&format!(
                        "the run began with {begun}, which this CPU lacks: the last bits may differ"
                    ));
                }
                Level::detect()
            }),
            choice => network::level(choice)?,
        };
        let splits = options.data.load(options.label.as_deref())?;
        if splits.checksum() != training.checksum {
            let message = format!("{} is not the data that this run began with", options.data);
            return Err(Failure::unusable(message).at(directory.display()));
        }
        Ok(Self { options, splits, level, checkpoint: Some((model, training)) })
    }
}

/// A network with its first weights.
pub(crate) fn bind<'a>(
    layers: &'a [Layer],
    rows: usize,
    level: Level,
    pool: &'a Pool,
    arena: &'a mut [f32],
    options: &Options,
) -> Outcome<Net<'a>> {
    let refused = |error| Failure::unusable(format!("this network cannot be: {error}"));
    let mut net = Network::bind_on(layers, rows, level, pool, arena).map_err(refused)?;
    net.set_seed(options.seed);
    // The shuffles are drawn from (seed, epoch), and epochs begin at 1: stream 0 is free.
    net.initialise(network::init(options), &mut Pcg64::new(options.seed.into(), 0)).map_err(refused)?;
    Ok(net)
}

fn interrupted(epoch: u32, run: Option<&Run>) -> Failure {
    let how = match run {
        Some(run) => format!("go on with: slicewise train --resume {}", run.directory().display()),
        None => "nothing was saved, for want of --out DIR".into(),
    };
    Failure::failed(format!("interrupted in epoch {epoch}; {how}"))
}

fn heading(start: &Start, epoch: u32) -> String {
    let data = &start.data;
    let mut text = format!(
        "{}: {} rows to train on, {} to validate, {} to test; {}, {} classes\n\
         {}: {} parameters, {} of memory, {}\n",
        data.name,
        thousands(data.train),
        thousands(data.validation),
        thousands(data.test),
        data.shape,
        data.classes,
        start.network,
        thousands(start.params),
        bytes(start.arena_bytes),
        start.level,
    );
    let options = &start.options;
    text += &format!(
        "{}, learning rate {} ({}), batches of {}, seed {}",
        name_of(&options.optimizer),
        options.lr,
        name_of(&options.schedule),
        options.batch,
        options.seed
    );
    if epoch > 0 {
        text += &format!("; going on after epoch {epoch}");
    }
    text + "\n"
}

/// Above the lines of the epochs.
const COLUMNS: &str =
    "        training           validation\nepoch   loss     accuracy  loss     accuracy      rows/s";

fn line(epoch: &Epoch) -> String {
    format!(
        "{:>5}   {:<8.4} {:<9.4} {:<8.4} {:<9.4} {:>10}",
        epoch.epoch,
        epoch.train_loss,
        epoch.train_acc,
        epoch.val_loss,
        epoch.val_acc,
        thousands(epoch.samples_per_s as usize)
    )
}

fn ending(console: Console, done: &Done, fit: &Fit<'_>, run: Option<&Run>) -> String {
    let accuracy = console.bold(&format!("test accuracy {:.4}", done.test_acc));
    let (seconds, steps) = (duration(done.seconds), thousands(fit.steps as usize));
    let stopped = if done.stopped_early { "stopped early, " } else { "" };
    let mut text = format!(
        "\n{accuracy}, loss {:.4}, with the weights of epoch {}\n\
         {stopped}{seconds}, {} heap allocations in {steps} steps",
        done.test_loss, done.best_epoch, done.heap_allocations_in_steps
    );
    if let Some(run) = run {
        text += &format!("\nsaved in {}; see report.html", run.directory().display());
    }
    text
}

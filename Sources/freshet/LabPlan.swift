internal import Lab

/// Experiments as single commands, for more machines than one: what `freshet lab plan` writes.
///
///     SCENARIO/     the inputs, as in a result folder, and later its runs/
///     commands      one independent command a line: scenario × composition × seed
///     parallel      does them with GNU parallel, here or over ssh
///     slurm         does them as a Slurm job array
package struct LabPlan: Sendable {
  /// A site's default for the largest index of a job array is 1,000; what is more is shared among so many tasks.
  static let taskLimit = 1000
  static let commandLimit = 1_000_000

  let experiments: [LabRunOptions]
  let folder: String?

  init(_ values: Values) throws(UsageError) {
    var experiments: [LabRunOptions] = []
    for scenario in values.operands {
      let options = try LabRunOptions(values, scenario: scenario)
      let name = options.experiment.scenario.name
      guard !experiments.contains(where: { $0.experiment.scenario.name == name }) else {
        throw UsageError("two scenarios are called '\(name)'; each needs a name of its own")
      }
      experiments.append(options)
    }
    let count = experiments.reduce(0) { $0 + $1.experiment.jobs.count }
    guard count <= Self.commandLimit else {
      throw UsageError("these are \(count) runs; a plan has at most \(Self.commandLimit)")
    }
    self.experiments = experiments
    folder = experiments[0].folder
  }

  /// Writes the plan, and says what to do with it.
  func write(_ topologies: LabTopologies) throws -> String {
    for options in experiments { try topologies.check(options, options.experiment.fidelity) }
    let folder = try OutputFolder(
      new: self.folder ?? OutputFolder.freeName(experiments[0].experiment.scenario.name)
    )
    for options in experiments {
      let name = options.experiment.scenario.name
      _ = try OutputFolder(new: "\(folder.path)/\(name)")
      try options.writeInputs(to: folder, in: name + "/", versions: topologies.versions)
    }
    let commands = experiments.flatMap(Self.commands)
    try folder.write("commands", commands.map { $0 + "\n" }.joined())
    try folder.write(
      "parallel",
      Self.parallel(experiments.map(\.experiment.scenario.name)),
      isExecutable: true
    )
    try folder.write("slurm", Self.slurm(commands.count), isExecutable: true)
    return """
      \(commands.count) runs are planned in \(folder.path).
        here:             \(folder.path)/parallel
        on more machines: \(folder.path)/parallel --sshlogin :,HOST,…
        with Slurm:       cd \(folder.path) && sbatch slurm
        afterwards:       freshet lab merge \(folder.path)

      """
  }

  /// Where a run's results go, seen from the plan's folder.
  static func place(_ options: LabRunOptions, _ job: Experiment.Job) -> String {
    let name = options.experiment.compositions[job.composition].name
    let plain = String(
      name.utf8.map { byte in
        let isPlain = 0x61...0x7A ~= byte || 0x30...0x39 ~= byte || byte == 0x2D
        return isPlain ? Character(UnicodeScalar(byte)) : "_"
      }
    )
    return "\(options.experiment.scenario.name)/runs/\(job.composition + 1)-\(plain)-\(job.seed)"
  }

  /// One command for each run, which begins anew what was broken off before.
  static func commands(_ options: LabRunOptions) -> [String] {
    let scenario = options.experiment.scenario.name
    let runs = "\(scenario)/runs".quotedForShell
    return options.experiment.jobs.map { job in
      let place = place(options, job).quotedForShell
      let arguments = options.arguments(in: scenario + "/", composition: job.composition, seed: job.seed)
        .map(\.quotedForShell).joined(separator: " ")
      return "rm -rf \(place) && mkdir -p \(runs) && "
        + "\"${FRESHET:-freshet}\" lab run \(arguments) --jobs 1 --quiet --no-report --output \(place)"
    }
  }

  private static func parallel(_ scenarios: [String]) -> String {
    let inputs = scenarios.map { "--basefile \($0.quotedForShell)" }.joined(separator: " ")
    return """
      #!/bin/sh
      # Does all runs that were not done yet with GNU parallel: on this machine, or, with --sshlogin :,HOST,…, on more.
      # Those get the inputs in a folder of the same path and give back their results; each needs rsync and freshet (FRESHET,
      # when it is not in its path).
      set -eu
      cd "$(dirname "$0")"
      case " $* " in
      *' -S'* | *' --sshlogin'* | *' --slf'* | *' --sshloginfile'*)
        set -- --workdir . \(inputs) --return '{= s/.* --output //; =}' "$@"
        ;;
      esac
      if [ -n "${FRESHET:-}" ]; then set -- --env FRESHET "$@"; fi
      if [ -t 2 ]; then set -- --bar "$@"; fi
      exec parallel --joblog parallel.log --resume-failed "$@" :::: commands >/dev/null

      """
  }

  private static func slurm(_ count: Int) -> String {
    let tasks = min(count, taskLimit)
    return """
      #!/bin/sh
      #SBATCH --job-name=freshet
      #SBATCH --array=1-\(tasks)
      #SBATCH --ntasks=1
      #SBATCH --cpus-per-task=1
      #SBATCH --output=slurm-%a.log
      # Does all runs as a job array; the folder has to be one that all nodes see. freshet is FRESHET or in the path.
      cd "${SLURM_SUBMIT_DIR:-$(dirname "$0")}" || exit 1
      status=0
      line=$SLURM_ARRAY_TASK_ID
      while [ "$line" -le \(count) ]; do
        sh -c "$(sed -n "${line}p" commands)" || status=1
        line=$((line + \(tasks)))
      done
      exit $status

      """
  }
}

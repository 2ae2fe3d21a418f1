internal import Lab

/// The commands of a researcher who compares topologies.
extension Command {
  static let lab = [labRun, labCheck, labEmulate, labReplay, labPlan, labMerge, labScenarios]

  static let labRun = Command(
    name: "lab run",
    operands: [
      Operand(
        name: "SCENARIO",
        summary: "One that ships ('freshet lab scenarios'), or a file that ends in .json5"
      )
    ],
    summary: "Simulate topologies side by side in the same worlds",
    details: """
      Each composition meets every seed's world: the same peers, places, lives and events. All processors are used, and \
      the results do not depend on how many there are. They go to a new folder, which can run them again: FOLDER/rerun. \
      Interrupted, it keeps the runs that are finished.
      """,
    options: [
      Settings.compositions.option, Settings.seeds.option, Settings.fidelity.option, Settings.peers.option,
      Settings.resultFolder.option, Settings.jobs.option, Settings.plugin.option, Settings.noProgress.option,
      Settings.noReport.option,
    ],
    examples: [
      ("freshet lab run churn --topology tree,chain", "two topologies under churn, 20 seeds each"),
      (
        "freshet lab run steady --topology tree:fanout=2,tree:fanout=4 --seeds 5",
        "one with different parameters"
      ),
      (
        "freshet lab run my.json5 --topology mixed.json5 --fidelity packet",
        "a world and a mixture of your own"
      ),
      ("lab-churn/rerun", "the same runs again; compares what happened in each"),
    ]
  )

  static let labEmulate = Command(
    name: "lab emulate",
    operands: [
      Operand(
        name: "SCENARIO",
        summary: "One that ships ('freshet lab scenarios'), or a file that ends in .json5"
      )
    ],
    summary: "Run the same worlds with real peers on this machine, beside the simulated ones",
    details: """
      Each peer is a process of this program in a network namespace of its own, started and ended when the plan says so. \
      Uploads are limited by tc's tbf, losses made by nftables; delays, bursts of losses, partitions and the time that a \
      packet takes to be sent by an emulated network between TUN devices, since Linux kernels without netem have nothing \
      for them. The table says how far the simulator at packet fidelity is off; what was measured while the processors \
      were more than half busy does not count. It runs in real time, needs root, ip, tc and nft, and takes away what it \
      has made, also what an earlier one that crashed has left.
      """,
    options: [
      Settings.compositions.option, Settings.emulatedSeeds.option, Settings.peers.option,
      Settings.streamRate.option, Settings.resultFolder.option, Settings.plugin.option,
      Settings.noProgress.option,
    ],
    examples: [
      (
        "sudo freshet lab emulate steady --topology tree,striped,pull --peers 50 --rate 1M",
        "fifty real peers at 1 Mbit/s"
      )
    ]
  )

  static let labReplay = Command(
    name: "lab replay",
    operands: [
      Operand(
        name: "RECORDING",
        summary: "What --record-events wrote; those of several peers, or a folder of them",
        repeats: true
      )
    ],
    summary: "Run what happened to a real swarm again, under other topologies",
    details: """
      Who came and went, what each could upload, how far apart peers were and how much was lost come from the recordings; \
      the more peers recorded, the less has to be estimated. All else is as in 'lab run': the seeds change what is left \
      to chance.
      """,
    options: [
      Settings.compositions.option, Settings.seeds.option, Settings.fidelity.option,
      Settings.resultFolder.option, Settings.jobs.option, Settings.plugin.option, Settings.noProgress.option,
      Settings.noReport.option,
    ],
    examples: [
      ("freshet join 'LINK' --play --record-events me.ndjson", "record what happens to you"),
      ("freshet lab replay me.ndjson yours.ndjson --topology tree,pull", "what would have been"),
    ]
  )

  static let labPlan = Command(
    name: "lab plan",
    operands: [
      Operand(
        name: "SCENARIO",
        summary: "One that ships ('freshet lab scenarios'), or a file that ends in .json5; or several",
        repeats: true
      )
    ],
    summary: "Write an experiment as single commands, for many machines",
    details: """
      Makes a folder with the inputs, with a command for each scenario, composition and seed, and with two scripts that \
      do them all: one for GNU parallel, on this machine or over ssh, and one for Slurm. 'freshet lab merge' makes one \
      result of them.
      """,
    options: [
      Settings.compositions.option, Settings.seeds.option, Settings.fidelity.option, Settings.peers.option,
      Settings.resultFolder.option, Settings.plugin.option,
    ],
    examples: [
      (
        "freshet lab plan churn steady --topology tree,pull --output sweep", "80 commands, for two scenarios"
      ),
      ("sweep/parallel --sshlogin :,lab1,lab2", "do them on three machines"),
      ("cd sweep && sbatch slurm", "or on a cluster"),
    ]
  )

  static let labMerge = Command(
    name: "lab merge",
    operands: [
      Operand(name: "FOLDER", summary: "What 'lab plan' or 'lab run' made; or several", repeats: true)
    ],
    summary: "Make one result of many runs",
    details: """
      Notices runs that are missing or there twice, and writes a result folder for each scenario, with the report over \
      all of them. Runs of the same seed that went different ways are refused: their builds differ.
      """,
    options: [Settings.resultFolder.option, Settings.noProgress.option],
    examples: [
      ("freshet lab merge sweep", "what a plan's commands have done so far"),
      ("freshet lab merge monday tuesday --output both", "results of two experiments in the same scenario"),
    ]
  )

  static let labCheck = Command(
    name: "lab check",
    operands: [
      Operand(
        name: "PLUGIN",
        summary:
          "A topology by its name or its file, with parameters: tree, tree:fanout=2, ./libMine.so:rays=3"
      )
    ],
    summary: "Try to prove wrong what a topology claims",
    details: """
      Random worlds, most of them small, attack the claims of its manifest; at the end of each nothing goes wrong any more, \
      and within 15 s everybody must be fed. Each world runs in two processes whose hash tables are in different orders, and \
      must go the same way. The world in which something is wrong is made as simple as possible and told as a story. It ends \
      with 1 then.
      """,
    options: [
      Settings.trials.option, Settings.jobs.option, Settings.plugin.option, Settings.noProgress.option,
      Settings.worker.option,
    ],
    examples: [
      ("freshet lab check tree:fanout=2", "a topology that ships"),
      ("freshet lab check .build/debug/libMine.so --seeds 2000", "one of your own, in many worlds"),
      ("freshet lab check ./libMine.so --seeds 17-17", "one world again"),
    ]
  )

  static let labScenarios = Command(
    name: "lab scenarios",
    operands: [
      Operand(
        name: "NAME",
        summary: "Print this one's file, to begin a scenario of your own",
        isOptional: true
      )
    ],
    summary: "List the scenarios that ship, or print one",
    details: "A scenario says what the world is like and what happens in it, whatever topology runs there.",
    options: [],
    examples: [("freshet lab scenarios churn > my.json5", "a copy to change")]
  )
}

extension Settings {
  static let compositions = Setting(
    "topology",
    "A,B,…",
    "What to compare: NAME, NAME:p=v,q=w, or FILE.json5 with parts and shares; with commas between them"
  ) { text throws(UsageError) in text }
  static let seeds = Setting(
    "seeds",
    "N|A-B",
    default: "20",
    "How many worlds: N for the seeds 1 to N, A-B for those from A to B",
    read: Read.seeds
  )
  static let emulatedSeeds = Setting(
    "seeds",
    "N|A-B",
    default: "1",
    "How many worlds: N for the seeds 1 to N, A-B for those from A to B",
    read: Read.seeds
  )
  static let streamRate = Setting(
    "rate",
    "RATE",
    "The stream's bits per second instead of the scenario's; all uploads grow and shrink with it",
    read: Read.rate
  )
  static let trials = Setting(
    "seeds",
    "N|A-B",
    default: "500",
    "How many worlds: N for the seeds 1 to N, A-B for those from A to B",
    read: Read.seeds
  )
  static let worker = Setting(
    "worker",
    "What the command starts by itself, twice: it reads worlds from standard input and says what happens there"
  )
  static let fidelity = Setting(
    "fidelity",
    "chunk|packet",
    default: "chunk",
    "chunk simulates plugins over links, fast; packet the whole peer, datagram by datagram",
    read: Read.fidelity
  )
  static let peers = Setting("peers", "N", "So many peers instead of the scenario's number", read: Read.peers)
  static let resultFolder = Setting(
    "output",
    "FOLDER",
    "Where to put the results; must not exist. Without it lab-SCENARIO, or lab-SCENARIO-2 and so on",
    read: Read.file
  )
  static let jobs = Setting(
    "jobs",
    "N",
    "So many runs at once; without it as many as there are processors",
    read: Read.jobs
  )
  static let noReport = Setting(
    "no-report",
    "Draw nothing and make no page; for runs that 'freshet lab merge' will join"
  )
  static let noProgress = Setting("quiet", "Print nothing but the table and what goes wrong")
}

extension Read {
  private static let seedLimit: UInt64 = 100_000

  static func seeds(_ text: String) throws(UsageError) -> ClosedRange<UInt64> {
    let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { number($0) }
    switch (ends.count, ends.first ?? nil, ends.last ?? nil) {
    case (1, let count?, _) where 1...seedLimit ~= count: return 1...count
    case (2, let first?, let last?) where first <= last && last - first < seedLimit: return first...last
    default:
      throw UsageError("'\(text)' is no number of seeds: write N for 1 to N, or A-B; at most \(seedLimit)")
    }
  }

  static func fidelity(_ text: String) throws(UsageError) -> Experiment.Fidelity {
    guard let fidelity = Experiment.Fidelity(rawValue: text) else {
      throw UsageError("'\(text)' is no fidelity: write chunk or packet")
    }
    return fidelity
  }

  static func peers(_ text: String) throws(UsageError) -> Int {
    guard let count = number(text[...]), 1...UInt64(Scenario.countLimit) ~= count else {
      throw UsageError("'\(text)' is no number of peers: write 1 to \(Scenario.countLimit)")
    }
    return Int(count)
  }

  static func jobs(_ text: String) throws(UsageError) -> Int {
    guard let count = number(text[...]), 1...1024 ~= count else {
      throw UsageError("'\(text)' is no number of runs at once: write 1 to 1024")
    }
    return Int(count)
  }

  /// Digits only.
  private static func number(_ text: Substring) -> UInt64? {
    text.utf8.allSatisfy { 0x30...0x39 ~= $0 } ? UInt64(text) : nil
  }
}

// Files instead of streams.
extension Command {
  static let seed = Command(
    name: "seed",
    operands: [
      Operand(name: "FILE…", summary: "What to serve; each file has a link of its own", repeats: true)
    ],
    summary: "Serve files to whoever has their link",
    details: """
      A link names the content itself, by the root of a tree of hashes: whoever has it can check every byte, \
      whoever sends it. The links are printed first, one a line, in the order of the files.
      """,
    options: [
      Settings.listen.option, Settings.advertise.option, Settings.contentChunkSize.option,
      Settings.hash.option, Settings.addressing.option, Settings.authorityOfFile.option,
      Settings.maxUpload.option, Settings.duration.option, Settings.stats.option,
    ] + Settings.common,
    examples: [
      ("freshet seed match.ts", "serve a recording"),
      ("freshet seed *.iso --max-upload 50M", "several files, with a cap on the upload"),
      ("freshet seed match.ts --ca club", "to members only, after: freshet ca create club --file match.ts"),
    ]
  )

  static let fetch = Command(
    name: "fetch",
    operands: [Operand(name: "LINK", summary: "What 'freshet seed' printed, in quotes")],
    summary: "Fetch a file by its link, from everybody who has it",
    details: """
      Until it is complete it is called FILE.part; the same command goes on where an interrupted one stopped, after \
      checking what is there. Whoever fetches serves what has come. A link holds '&', so put it in quotes.
      """,
    options: [
      Settings.fetchOutput.option, Settings.playsFile.option, Settings.inOrder.option,
      Settings.keepsSeeding.option,
      Settings.listenAsViewer.option, Settings.advertise.option, Settings.certificate.option,
      Settings.identity.option, Settings.maxUpload.option,
      Settings.duration.option, Settings.stats.option,
    ] + Settings.common,
    examples: [
      ("freshet fetch 'ppspp://…' --output match.ts", "fetch a recording"),
      ("freshet fetch 'ppspp://…' --output match.ts --seed", "and go on serving it"),
      ("freshet fetch 'ppspp://…' --output match.ts --play", "and watch it while it comes"),
      ("freshet fetch 'ppspp://…' --output - | tar -x", "pipe it; nothing is kept"),
    ]
  )
}

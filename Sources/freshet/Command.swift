/// A command as it is declared: its operands, options and what help says.
package struct Command: Sendable {
  package struct Operand: Sendable {
    package let name: String
    /// What to give, in a sentence.
    package let summary: String
    /// Whether there may be more of it.
    package var repeats = false
    /// Whether it may be left out; then it is the last one.
    package var isOptional = false
  }

  /// One or two words.
  package let name: String
  package let operands: [Operand]
  /// One sentence without a full stop.
  package let summary: String
  package let details: String
  package let options: [Option]
  /// What to type, and what for.
  package let examples: [(line: String, purpose: String)]

  package static let all =
    [broadcast, topology, join, seed, fetch, inspect, plugins, pluginNew, generateKey] + membership + lab

  static let broadcast = Command(
    name: "broadcast",
    operands: [
      Operand(
        name: "INPUT",
        summary:
          "A file, - for standard input, a feed (srt://, rtmp://, http://), or a device like v4l2:/dev/video0"
      )
    ],
    summary: "Send a live stream and print the link to watch it",
    details: """
      The link is the first line on standard output. Every viewer who joins relays to others, so the upload \
      of this machine only has to carry a few of them.
      """,
    options: [
      Settings.listen.option, Settings.advertise.option, Settings.topology.option, Settings.transport.option,
      Settings.key.option, Settings.authority.option, Settings.integrity.option, Settings.addressing.option,
      Settings.window.option, Settings.chunkSize.option, Settings.keep.option,
      Settings.maxUpload.option, Settings.patience.option, Settings.loop.option, Settings.duration.option,
      Settings.stats.option, Settings.chunkTimes.option, Settings.recordEvents.option,
    ] + Settings.common,
    examples: [
      ("freshet broadcast game.mp4 --loop", "a file, again and again"),
      ("freshet broadcast 'rtmp://0.0.0.0:1935/live'", "wait for OBS to publish here (0.0.0.0 listens)"),
      ("freshet broadcast v4l2:/dev/video0 --key my.key", "a camera, under the same link each time"),
      ("ffmpeg … -f mpegts - | freshet broadcast -", "whatever FFmpeg makes"),
      ("freshet broadcast null:2M", "an even stream of 2 Mbit/s without content, for measurements"),
    ]
  )

  static let topology = Command(
    name: "topology",
    operands: [
      Operand(name: "NAME[:P=V,…]", summary: "The plugin and its parameters, like striped:stripes=4")
    ],
    summary: "Change how the viewers of a running broadcast are connected",
    details: """
      Run it on the machine and as the user of the broadcast. The new topology makes its links while the old one goes \
      on; some seconds later it takes over with a chunk that all know of, and nothing is lost. Viewers that lack the \
      plugin go on watching as plain leaves.
      """,
    options: [Settings.broadcastPort.option, Settings.swapJSON.option],
    examples: [
      ("freshet topology striped:stripes=4", "the only broadcast of yours that runs here"),
      ("freshet topology tree:fanout=2 --port 7574", "the one that listens there"),
    ]
  )

  static let join = Command(
    name: "join",
    operands: [Operand(name: "LINK", summary: "What 'freshet broadcast' printed, in quotes")],
    summary: "Watch, record or relay a stream",
    details: """
      Each chunk is checked against the broadcaster's signature before it is shown or passed on; a broadcast with \
      --integrity none has no signatures, and you are warned. A link holds '&', so put it in quotes.
      """,
    options: [
      Settings.output.option, Settings.keep.option, Settings.play.option, Settings.noRelay.option,
      Settings.listenAsViewer.option,
      Settings.advertise.option, Settings.certificate.option, Settings.identity.option,
      Settings.maxUpload.option, Settings.patience.option, Settings.duration.option, Settings.stats.option,
      Settings.chunkTimes.option, Settings.recordEvents.option,
    ] + Settings.common,
    examples: [
      ("freshet join 'ppspp://…' --play", "watch it in ffplay or mpv"),
      ("freshet join 'ppspp://…' --output match.ts", "record it"),
      ("freshet join 'ppspp://…' --output - | mpv -", "pipe it into any program that reads MPEG-TS"),
    ]
  )

  static let inspect = Command(
    name: "inspect",
    operands: [
      Operand(
        name: "INPUT",
        summary:
          "A capture (pcap, pcapng), or text: a line of hexadecimal a datagram, or as xxd and tcpdump -x print it; - for standard input",
        isOptional: true
      )
    ],
    summary: "Show what peers say to each other, datagram by datagram",
    details: """
      For each datagram: time, direction, channel, bytes, and its messages with chunk numbers, delays and verdicts. \
      Chunks are checked against the swarm's key or root hash. Without INPUT it watches a port, as root, until Ctrl-C. \
      A summary comes last. Messages in capital letters are those of RFC 7574, those in small letters our own.
      """,
    options: [
      Settings.port.option, Settings.interface.option, Settings.link.option, Settings.channel.option,
      Settings.only.option, Settings.json.option, Settings.summaryOnly.option, Settings.hex.option,
    ],
    examples: [
      ("sudo freshet inspect --port 7574", "watch the peer that runs on this machine"),
      (
        "freshet inspect capture.pcap --only handshake,request", "two kinds of messages of a recorded capture"
      ),
      ("tcpdump -i any -w - udp port 7574 | freshet inspect -", "a capture from elsewhere, as it is made"),
      (
        "freshet inspect capture.pcap --link 'ppspp://…' --quiet",
        "one that begins in mid-stream; summary only"
      ),
    ]
  )

  static let plugins = Command(
    name: "plugins",
    operands: [],
    summary: "List the plugins that can be used, with their parameters",
    details:
      "For each: kind, name, version, generation of the plugin interface, parameters with ranges, path.",
    options: [Settings.plugin.option, Settings.config.option],
    examples: [("freshet plugins --plugin ./libRing.so", "see whether a plugin of your own loads")]
  )

  static let pluginNew = Command(
    name: "plugin new",
    operands: [
      Operand(name: "NAME", summary: "What the topology is called, as a type of Swift: Garland")
    ],
    summary: "Write a package for a topology of your own",
    details: """
      Makes the folder NAME with a Swift package that builds, a topology that works, a test, a scenario and a page, \
      and says what to do next.
      """,
    options: [Settings.pluginKit.option],
    examples: [("freshet plugin new Garland", "then: cd Garland && swift build")]
  )

  static let generateKey = Command(
    name: "key generate",
    operands: [Operand(name: "FILE", summary: "Where to put the key; must not exist")],
    summary: "Make a key, so that a stream keeps its link",
    details: """
      Who has the file can broadcast in the stream's name: it is readable by its owner only. Beside it, \
      FILE.next keeps the next chunk number, so that the key never signs a number twice; keep both together.
      """,
    options: [Settings.algorithm.option],
    examples: [("freshet key generate my.key", "then: freshet broadcast INPUT --key my.key")]
  )
}

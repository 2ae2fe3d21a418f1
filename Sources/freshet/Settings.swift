internal import Integrity
internal import Swarm
internal import Wire

/// Every option there is, each declared once.
package enum Settings {
  static let listen = Setting(
    "listen",
    "udp://HOST:PORT",
    default: "udp://0.0.0.0:7574",
    "Where to be reached; [::] for IPv6, port 0 for any free one",
    read: Read.listen
  )
  static let listenAsViewer = Setting(
    "listen",
    "udp://HOST:PORT",
    "Where other viewers reach this one; without it any free port is taken",
    read: Read.listen
  )
  static let advertise = Setting(
    "advertise",
    "HOST[:PORT]",
    "The address that others see, when it is not the one listened at; several with commas between them",
    read: Read.advertised
  )
  static let topology = Setting(
    "topology",
    "NAME[:P=V,…]",
    default: "tree",
    "How the viewers are connected: a plugin and its parameters, like tree:fanout=4 or chain",
    read: Read.plugin
  )
  static let transport = Setting(
    "transport",
    "NAME[:P=V,…]",
    default: "udp",
    "How datagrams travel: a plugin and its parameters",
    read: Read.plugin
  )
  static let pluginKit = Setting(
    "plugin-kit",
    "FOLDER",
    "Where PluginKit is: the folder Sources/PluginKit of this freshet; without it, beside the sources it was built from",
    read: Read.file
  )
  static let key = Setting(
    "key",
    "FILE",
    "The key that signs the stream, from 'freshet key generate'; without it each broadcast has a new link",
    read: Read.file
  )
  static let integrity = Setting(
    "integrity",
    "METHOD",
    default: "sign-all",
    "How chunks are protected: sign-all; unified-merkle[:CHUNKS], which signs 2 to 32 at once and is much cheaper; or none",
    read: Read.integrity
  )
  static let addressing = Setting(
    "addressing",
    "METHOD",
    default: "chunk-ranges-32",
    "How chunks are named on the wire: chunk-ranges-32, chunk-ranges-64, bins-32, bins-64 or byte-ranges-64",
    read: Read.addressing
  )
  static let window = Setting(
    "window",
    "TIME",
    default: "30s",
    "How long chunks are kept for those who missed them",
    read: Read.duration(.seconds(1)...(.seconds(3600)))
  )
  static let chunkSize = Setting(
    "chunk-size",
    "BYTES",
    default: "1316",
    "Bytes of a chunk, a multiple of 188; 1128 for tunnels; variable ends a chunk with what is there instead of filling it up",
    read: Read.chunkSize
  )
  static let contentChunkSize = Setting(
    "chunk-size",
    "BYTES",
    default: "1024",
    "Bytes of a chunk; a finished broadcast's recording takes that of the broadcast",
    read: Read.contentChunkSize
  )
  static let hash = Setting(
    "hash",
    "NAME",
    default: "sha-256",
    "The hash function of the tree: sha-1, sha-224, sha-256, sha-384 or sha-512",
    read: Read.hash
  )
  static let fetchOutput = Setting(
    "output",
    "FILE|-",
    "Where to put it, - for standard output; without it the file is named after the link",
    read: Read.output
  )
  static let playsFile = Setting(
    "play",
    "Watch it while it comes: starts ffplay or mpv. A file whose index is at its end is played when all of it is here"
  )
  static let inOrder = Setting("in-order", "Fetch from the beginning on, not what is rarest first")
  static let keepsSeeding = Setting("seed", "Serve it to others when it is complete, until interrupted")
  static let maxUpload = Setting(
    "max-upload",
    "RATE",
    "The most to send in bits per second, like 20M; it caps how many peers are fed. Without it there is no cap",
    read: Read.rate
  )
  static let loop = Setting("loop", "Begin the input again when it ends")
  static let duration = Setting(
    "duration",
    "TIME",
    "Leave properly after this time, counted from the start",
    read: Read.duration(.milliseconds(1)...(.seconds(30 * 86_400)))
  )
  static let stats = Setting(
    "stats",
    "FILE",
    "Write one JSON object a second there, and a last one at the end",
    read: Read.file
  )
  static let patience = Setting(
    "patience",
    "TIME",
    default: "2s",
    "How long a chunk that does not come is waited for before the stream goes on without it",
    read: Read.duration(.milliseconds(100)...(.seconds(60)))
  )
  static let chunkTimes = Setting(
    "chunk-times",
    "FILE",
    "Write when each chunk was made or came, as CSV in nanoseconds of the monotonic clock",
    read: Read.file
  )
  static let recordEvents = Setting(
    "record-events",
    "FILE",
    "Write what happens to this peer each second, without any of the stream, for 'freshet lab replay'",
    read: Read.file
  )
  static let output = Setting(
    "output",
    "FILE|-",
    "Write the stream as MPEG-TS to a file, or to standard output",
    read: Read.output
  )
  static let keep = Setting(
    "keep",
    "FILE",
    "Keep the stream byte for byte as it was signed; 'freshet seed' can serve it when the stream is over",
    read: Read.file
  )
  static let play = Setting("play", "Watch it: starts ffplay or mpv")
  static let noRelay = Setting("no-relay", "Only watch; feed nobody")
  static let plugin = Setting(
    "plugin",
    "FILE",
    repeats: true,
    "Load a plugin from a library; may be repeated. FRESHET_PLUGIN_PATH names folders of them",
    read: Read.file
  )
  static let config = Setting(
    "config",
    "FILE",
    "Read options from a JSON5 file, like { loop: true, window: \"10s\" }",
    read: Read.file
  )
  static let quiet = Setting("quiet", "Print nothing but the link and what goes wrong")
  static let verbose = Setting("verbose", "Print more of what happens")
  static let algorithm = Setting(
    "algorithm",
    "NUMBER",
    default: "13",
    "Signature algorithm: 13 ECDSA P-256, 15 Ed25519, 14 ECDSA P-384, 8 and 5 RSA",
    read: Read.algorithm
  )

  static let port = Setting(
    "port",
    "NUMBER",
    "Only datagrams from or to this UDP port; without INPUT it is watched",
    read: Read.port
  )
  static let broadcastPort = Setting(
    "port",
    "NUMBER",
    "The UDP port of the broadcast, where several run on this machine",
    read: Read.port
  )
  static let swapJSON = Setting("json", "Print how it went as one JSON object")
  static let interface = Setting(
    "interface",
    "NAME",
    "The network interface to watch, any for all of them; without it all are",
    read: Read.interface
  )
  static let link = Setting(
    "link",
    "LINK",
    "How to read channels whose beginning is not in the capture, and the key that their chunks are checked with",
    read: Read.link
  )
  static let channel = Setting(
    "channel",
    "NUMBER",
    "Only this channel, in both directions; written as it is shown",
    read: Read.channel
  )
  static let only = Setting(
    "only",
    "MESSAGE,…",
    "Only these messages, like data,have,pex,hello,malformed; extension means all of our own",
    read: Read.messages
  )
  static let json = Setting("json", "Print one JSON object a datagram, and a last one for the summary")
  static let summaryOnly = Setting("quiet", "Print only the summary")
  static let hex = Setting("hex", "Print the bytes of each datagram too")

  static let common = [plugin.option, config.option, quiet.option, verbose.option]
}

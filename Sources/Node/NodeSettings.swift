package import Integrity
package import PluginKit
package import Swarm
package import Wire

/// What a broadcaster and a viewer have in common.
package struct NodeSettings {
  package var transport: any Transport
  package var discovery: any Discovery
  /// Makes the topology that the swarm's descriptor names.
  package var makeTopology: (_ name: String, _ parameters: String) throws(ParameterError) -> any Topology
  /// Where others reach this peer, if not where it listens; port 0 stands for the one that is listened at.
  package var advertised: [Swarm.Link.Endpoint] = []
  /// Bits per second; `nil` without a cap.
  package var maxUpload: UInt64?
  /// After this time the peer leaves properly.
  package var duration: Duration?
  /// How long a chunk that is missing is waited for, and one that waits for an upload is kept; `nil` for the usual time.
  package var patience: Duration?
  /// A file that is to hold when each chunk was made or came.
  package var chunkTimes: String?
  /// A file that is to hold what happened to the peer.
  package var eventLog: String?

  /// What a peer that has no cap says about its upload, in bits per second.
  static let uncappedUpload: UInt64 = 1_000_000_000

  package init(
    transport: any Transport,
    discovery: any Discovery,
    makeTopology:
      @escaping (_ name: String, _ parameters: String) throws(ParameterError) -> any Topology
  ) {
    self.transport = transport
    self.discovery = discovery
    self.makeTopology = makeTopology
  }
}

/// What a broadcaster sends, and how.
package struct BroadcastSettings {
  package var input: String
  package var node: NodeSettings
  /// The key file; `nil` for a key that is made for this broadcast only.
  package var key: String?
  /// The folder of the authority whose members alone are answered; `nil` for a stream that is open to all.
  package var authority: String?
  package var topology = "tree"
  package var topologyParameters = ""
  package var listen = Swarm.Link.Endpoint.address(Address(ipv4: 0, port: Swarm.Link.defaultPort))
  /// Whether another port is taken when the one to listen at is not free.
  package var takesAnyPort = true
  package var window: Duration = .seconds(30)
  /// A multiple of 188, or `WireFormat.variableChunkSize`.
  package var chunkSize = 1316
  package var loops = false
  /// Where the stream is kept, byte for byte as it was signed.
  package var archive: String?
  package var integrity = IntegrityMethod.signAll
  /// How many chunks a signature covers under a Unified Merkle Tree; `nil` for as many as fill within 100 ms.
  package var chunksPerSignature: Int?
  package var addressing = ChunkAddressing.chunkRanges32
  /// The folder of the socket by which the owner can speak to the broadcast; `nil` for none.
  package var control: String?

  package init(input: String, node: NodeSettings) {
    self.input = input
    self.node = node
  }

  /// The most bytes of a chunk.
  var longestChunk: Int {
    chunkSize == WireFormat.variableChunkSize ? PeerConfiguration.longestVariableChunk : chunkSize
  }
}

/// What a viewer takes part in, and what it does with it.
package struct JoinSettings {
  /// Where the stream goes.
  package enum Output: Hashable, Sendable {
    case standardOutput
    case file(String)
    /// Every byte as it was signed, so that it can be served afterwards.
    case archive(String)
    case player
  }

  package var link: Swarm.Link
  package var node: NodeSettings
  /// None for a peer that only relays.
  package var outputs: [Output] = []
  package var relays = true
  /// What a stream for members only asks for.
  package var membership: Membership?
  /// `nil` for any free port of the family that the link's hosts have.
  package var listen: Swarm.Link.Endpoint?
  /// How long the link's peers may take to answer.
  package var answerPatience: Duration = .seconds(10)
  /// How long a stream that broke off may take to come back.
  package var streamPatience: Duration = .seconds(30)

  package init(link: Swarm.Link, node: NodeSettings) {
    self.link = link
    self.node = node
  }
}

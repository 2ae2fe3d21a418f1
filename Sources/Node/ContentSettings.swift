package import Integrity
import PluginKit
package import Swarm
package import Wire

/// Which files a seed serves, and how.
package struct SeedSettings {
  /// At least one.
  package var files: [String]
  package var node: NodeSettings
  package var listen = Swarm.Link.Endpoint.address(Address(ipv4: 0, port: Swarm.Link.defaultPort))
  /// Whether another port is taken when the one to listen at is not free.
  package var takesAnyPort = true
  package var chunkSize = 1024
  package var function = HashFunction.sha256
  package var addressing = ChunkAddressing.chunkRanges32
  /// The folder of the authority whose members alone are answered, for a single file; `nil` for all who ask.
  package var authority: String?
  /// What a member has that serves on, instead of the authority.
  package var membership: Membership?

  package init(files: [String], node: NodeSettings) {
    self.files = files
    self.node = node
  }
}

/// What is fetched, and where it goes.
package struct FetchSettings {
  /// Where content goes.
  package enum Output: Hashable, Sendable {
    case file(String)
    /// In order; what is kept meanwhile has no name, and is gone in the end.
    case standardOutput
  }

  /// The link of content.
  package var link: Swarm.Link
  package var node: NodeSettings
  package var output: Output
  /// What is piped or played while it comes should come in order.
  package var order = Content.Order.rarestFirst
  /// Whether a player shows it while it comes.
  package var plays = false
  /// What content for members only asks for.
  package var membership: Membership?
  /// Whether it is served when it is all here.
  package var seeds = false
  /// `nil` for any free port of the family that the link's hosts have.
  package var listen: Swarm.Link.Endpoint?
  /// How long the link's peers may take to answer.
  package var answerPatience: Duration = .seconds(10)
  /// How long no chunk may come.
  package var contentPatience: Duration = .seconds(30)

  /// Where the content has a name; nil when it is only piped.
  var path: String? { if case .file(let path) = output { path } else { nil } }

  package init(link: Swarm.Link, output: Output, node: NodeSettings) {
    self.link = link
    self.output = output
    self.node = node
  }
}

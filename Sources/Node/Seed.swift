package import Integrity
import Net
import PluginKit
import Swarm
import Text

/// A running seed: files, each the content of a swarm of its own, on one socket (RFC 7574, sections 3.11 and 5).
package struct Seed {
  /// The most own addresses that a link names; the user can name more.
  private static let linkAddresses = 4
  /// How long leaving may take.
  private static let leavePatience: Duration = .seconds(1)

  /// Serves until the time is over or a signal comes.
  ///
  /// Tells the links first, when the files are hashed.
  package static func run(_ settings: SeedSettings, _ report: (NodeEvent) -> Void) throws(NodeError) {
    let clock = Clock()
    var files: [ServedFile] = []
    for path in settings.files {
      let file = try ContentFile.open(path)
      let tree = try file.tree(settings.function, chunkSize: settings.chunkSize) { part in
        report(.hashing(path, part))
      }
      files.append(ServedFile(file: file, tree: tree))
    }
    let authority = try authority(settings, files)
    let socket = try Sockets.listen(
      settings.listen,
      takesAnyPort: settings.takesAnyPort,
      settings.node.transport
    )
    let host = try Host(settings.node, socket, clock: clock)
    var warnings: [String] = []
    let addresses = Sockets.advertised(settings.node.advertised, host.carrier.address) {
      warnings.append("\($0); the link names it all the same")
    }
    let endpoints =
      settings.node.advertised.isEmpty
      ? addresses.prefix(linkAddresses).map(Swarm.Link.Endpoint.address)
      : settings.node.advertised.map { Sockets.with($0, port: host.carrier.address.port ?? 0) }
    for served in files {
      let link = Swarm.Link(
        endpoints: endpoints,
        root: served.tree.root,
        chunkSize: settings.chunkSize,
        addressing: settings.addressing
      )
      let configuration = try content(
        link,
        served.tree.root,
        address: addresses[0],
        settings.node,
        host,
        authority: authority,
        membership: settings.membership
      )
      try host.add(configuration, Content(served.tree, served.file.map(isWritable: false)), bootstrap: [])
      report(.link(link))
      report(
        .sentence(
          "serving '\(served.file.path)', \(UInt64(served.file.byteCount).grouped) bytes in "
            + "\((served.tree.chunkCount ?? 0).grouped) chunks"
        )
      )
    }
    for warning in warnings { report(.warning(warning)) }
    do throws(NodeError) {
      try serve(files, host, until: settings.node.duration.map { host.clock.now + $0 }, report)
    } catch {
      report(.summary(host.summary()))
      throw error
    }
    report(.summary(host.summary()))
  }

  private final class ServedFile {
    let file: ContentFile
    let tree: MerkleTree

    init(file: consuming ContentFile, tree: MerkleTree) {
      self.file = file
      self.tree = tree
    }
  }

  /// The root hash of a file, as a seed with the same settings names it.
  package static func root(
    of path: String,
    _ function: HashFunction,
    chunkSize: Int
  ) throws(NodeError) -> RootHash {
    try ContentFile.open(path).tree(function, chunkSize: chunkSize) { _ in }.root
  }

  /// The authority of a file for members only.
  private static func authority(
    _ settings: SeedSettings,
    _ files: [ServedFile]
  ) throws(NodeError) -> CertificateAuthority? {
    guard let folder = settings.authority else { return nil }
    let authority = try NodeError.integrity { () throws(IntegrityError) in
      try CertificateAuthority.load(from: folder)
    }
    for file in files where !authority.authority.isFor(.content(file.tree.root)) {
      throw .integrity(
        .invalidCertificateFile(
          path: folder,
          reason: "it is not the authority of '\(file.file.path)' with this --chunk-size and --hash; "
            + "make one with: freshet ca create DIR --file \(file.file.path)"
        )
      )
    }
    return authority
  }

  /// How a peer of a static swarm is made, seed or not.
  static func content(
    _ link: Swarm.Link,
    _ root: RootHash,
    address: Address,
    _ settings: NodeSettings,
    _ host: Host,
    authority: CertificateAuthority? = nil,
    membership: Membership? = nil
  ) throws(NodeError) -> PeerConfiguration {
    let membership = try NodeError.integrity { () throws(IntegrityError) in
      guard let authority else { return membership }
      return try authority.ownMembership(PeerIdentity.generate(), now: host.unixOrigin + host.clock.now)
    }
    let identity = try NodeError.integrity { () throws(IntegrityError) in
      if let membership { membership.identity } else { try PeerIdentity.generate() }
    }
    var configuration = PeerConfiguration(.content(root), role: .relay, identity: identity, address: address)
    configuration.chunkSize = link.chunkSize
    configuration.addressing = link.addressing
    configuration.membership = membership
    configuration.congestion = .background
    configuration.capacity = Capacity(upload: settings.maxUpload ?? uncappedUpload)
    configuration.datagramLimit = Sockets.datagramLimit(settings.transport, host.carrier.address)
    configuration.clockOffset = host.unixOrigin
    return configuration
  }

  /// Without a cap only the congestion control says how much is sent, in bits per second.
  private static let uncappedUpload: UInt64 = 1_000_000_000_000

  private static func serve(
    _ files: [ServedFile],
    _ host: Host,
    until end: Duration?,
    _ report: (NodeEvent) -> Void
  ) throws(NodeError) {
    var nextReport = host.clock.now + .seconds(1)
    while host.interruptions == 0 {
      try host.wait(until: min(nextReport, end ?? nextReport))
      try host.timers()
      for index in files.indices { _ = host.takeNotices(of: index) }
      let now = host.clock.now
      if let end, now >= end { break }
      guard now >= nextReport else { continue }
      report(.statistics(host.statistics()))
      for warning in host.takeWarnings() { report(.warning(warning)) }
      nextReport = max(nextReport + .seconds(1), now)
      if let changed = files.first(where: { !$0.file.isUnchanged }) {
        throw .file(
          "'\(changed.file.path)' was changed, and is not what its link names any more: seed it anew"
        )
      }
    }
    try leave(host)
  }

  /// Says goodbye to everybody.
  static func leave(_ host: Host) throws(NodeError) {
    let deadline = host.clock.now + leavePatience
    host.leave()
    while !host.hasLeft, host.clock.now < deadline {
      try host.wait(until: deadline)
      try host.timers()
    }
  }
}

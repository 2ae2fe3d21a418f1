internal import Integrity
internal import Node
internal import Swarm

/// The membership of a closed swarm, and the key that it is for if that is not in the same file.
package struct MembershipFiles: Hashable, Sendable {
  package var certificate: String
  package var identity: String?

  /// Nil when none was named.
  init?(_ values: Values) throws(UsageError) {
    let identity = try values.optional(Settings.identity)
    guard let certificate = try values.optional(Settings.certificate) else {
      guard identity == nil else {
        throw UsageError("--identity goes with --certificate FILE; what is open to all needs neither")
      }
      return nil
    }
    self.certificate = certificate
    self.identity = identity
  }

  /// Reads them, for the swarm of a link.
  func load(for link: Swarm.Link) throws -> Membership {
    let identity = try identity.map { path throws(IntegrityError) in try PeerIdentity.load(from: path) }
    let membership = try Membership.load(from: certificate, identity: identity, at: MembersTask.unixTime)
    guard membership.authority.isFor(link.name) else {
      throw CommandError(
        "\(certificate) is the membership of another \(link.root == nil ? "stream" : "file") than the link's"
      )
    }
    return membership
  }
}

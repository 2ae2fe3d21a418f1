internal import Glibc
internal import Integrity
internal import Node
internal import PluginKit
internal import Swarm
package import Wire

/// What `freshet ca …` was asked for.
package enum MembersTask: Hashable, Sendable {
  case create(folder: String, key: String)
  case createForFile(folder: String, file: String, chunkSize: Int, hash: MerkleHash)
  case issue(IssueOptions)
  case request(path: String)
}

/// All that `freshet ca issue` was asked for.
package struct IssueOptions: Hashable, Sendable {
  package var folder: String
  package var name: String
  package var publicKey: [UInt8]?
  /// `IP:PORT`.
  package var address: String?
  package var valid: Duration

  init(_ values: Values) throws(UsageError) {
    folder = try Read.file(values.operands[0])
    guard let name = try values.optional(Settings.memberName) else {
      throw UsageError("'ca issue' needs --name NAME: who is the member?")
    }
    self.name = name
    publicKey = try values.optional(Settings.publicKey)
    address = try values.optional(Settings.address)
    valid = try values.value(Settings.valid)
  }
}

extension MembersTask {
  init?(_ command: Command, _ values: Values) throws(UsageError) {
    switch command.name {
    case Command.createAuthority.name:
      let folder = try Read.file(values.operands[0])
      switch (try values.optional(Settings.streamOfAuthority), try values.optional(Settings.fileOfAuthority))
      {
      case (let key?, nil): self = .create(folder: folder, key: key)
      case (nil, let file?):
        self = .createForFile(
          folder: folder,
          file: file,
          chunkSize: try values.value(Settings.contentChunkSize),
          hash: try values.value(Settings.hash)
        )
      default:
        throw UsageError(
          "'ca create' needs --key FILE or --file FILE: an authority is for one stream ('freshet key generate') or one file"
        )
      }
    case Command.issueCertificate.name: self = .issue(try IssueOptions(values))
    case Command.requestCertificate.name: self = .request(path: try Read.file(values.operands[0]))
    default: return nil
    }
  }

  /// Does it, and gives what to print.
  func run() throws -> String {
    switch self {
    case .create(let folder, let key):
      let swarmID = try StreamKey.load(from: key).swarmID
      _ = try CertificateAuthority.create(at: folder, .live(swarmID), now: Self.unixTime)
      return """
        \(folder): the authority of the stream \(swarmID)
        Make members: freshet ca issue \(folder) --name NAME
        Broadcast to them: freshet broadcast INPUT --key \(key) --ca \(folder)

        """
    case .createForFile(let folder, let file, let chunkSize, let hash):
      let root = try Seed.root(of: file, hash, chunkSize: chunkSize)
      _ = try CertificateAuthority.create(at: folder, .content(root), now: Self.unixTime)
      return """
        \(folder): the authority of the file \(root)
        Make members: freshet ca issue \(folder) --name NAME
        Serve it to them: freshet seed \(file) --ca \(folder)

        """
    case .issue(let options):
      let authority = try CertificateAuthority.load(from: options.folder)
      let made = options.publicKey == nil ? try PeerIdentity.generate() : nil
      guard let key = options.publicKey ?? made?.publicKey else {
        preconditionFailure("there is a key, given or made")
      }
      let member = try authority.issue(
        name: options.name,
        publicKey: key,
        place: options.address,
        now: Self.unixTime,
        notAfter: Self.unixTime + options.valid
      )
      let path = "\(options.folder)/\(options.name).pem"
      try authority.write(member, identity: made, at: path)
      let secret = made == nil ? "" : "It holds the member's key, so send it safely.\n"
      return "\(path): give this file to \(options.name), good for \(Read.brief(options.valid)).\n" + secret
    case .request(let path):
      let identity = try PeerIdentity.create(at: path)
      return """
        \(path): your key; keep it. Send this line to the broadcaster:
        \(identity.publicKeyText)

        """
    }
  }

  static var unixTime: Duration { .seconds(Int64(time(nil))) }
}

extension Read {
  static func memberName(_ text: String) throws(UsageError) -> String {
    let isPlain = text.utf8.allSatisfy { byte in
      0x30...0x39 ~= byte || 0x41...0x5A ~= byte || 0x61...0x7A ~= byte || byte == 0x2D || byte == 0x5F
        || byte == 0x2E
    }
    guard 1...CertificateAuthority.nameLimit ~= text.utf8.count, isPlain, text.first != ".", text.first != "-"
    else {
      throw UsageError("'\(text)' is no member's name: use 1 to 48 letters, digits, '.', '_' and '-'")
    }
    return text
  }

  static func publicKey(_ text: String) throws(UsageError) -> [UInt8] {
    guard let key = PeerIdentity.publicKey(text) else {
      throw UsageError("'\(text)' is no public key: copy the line that 'freshet ca request' printed")
    }
    return key
  }

  /// An IP address with a port, as a certificate says it.
  static func place(_ text: String) throws(UsageError) -> String {
    guard case .address(let address)? = try? Swarm.Link.Endpoint(text, defaultPort: 0), address.port != 0,
      !Swarm.Link.Endpoint.address(address).isUnspecified
    else {
      throw UsageError("'\(text)' is no IP address with a port: write it like 192.0.2.7:7574")
    }
    return address.description
  }
}

internal import Integrity
package import Swarm
package import Wire

/// All that `freshet seed` was asked for.
package struct SeedOptions: Hashable, Sendable {
  /// At least one.
  package var files: [String]
  package var listen: ListenAddress
  /// Whether the user said where to listen; else another port may be taken.
  package var listenIsGiven: Bool
  package var chunkSize: Int
  package var hash: MerkleHash
  package var addressing: ChunkAddressing
  /// The folder of the authority whose members alone are answered.
  package var authority: String?
  package var common: CommonOptions

  init(_ values: Values) throws(UsageError) {
    files = []
    for operand in values.operands { files.append(try Read.file(operand)) }
    listen = try values.value(Settings.listen)
    listenIsGiven = try values.optional(Settings.listen) != nil
    chunkSize = try values.value(Settings.contentChunkSize)
    hash = try values.value(Settings.hash)
    addressing = try values.value(Settings.addressing)
    authority = try values.optional(Settings.authorityOfFile)
    guard authority == nil || files.count == 1 else {
      throw UsageError("--ca is for one file: serve the others by another 'freshet seed'")
    }
    common = try CommonOptions(values)
    guard chunkSize != 2 * hash.length else {
      throw UsageError(
        "chunks of \(chunkSize) bytes could be taken for two hashes; choose another --chunk-size"
      )
    }
  }
}

/// All that `freshet fetch` was asked for.
package struct FetchOptions: Hashable, Sendable {
  /// The link of content.
  package var link: Link
  package var output: Output
  package var isInOrder: Bool
  package var plays: Bool
  package var seeds: Bool
  /// Where to listen; nil for any free port of the family that the link's host has.
  package var listen: ListenAddress?
  package var membership: MembershipFiles?
  package var common: CommonOptions

  init(_ values: Values) throws(UsageError) {
    link = try Read.link(values.operands[0])
    guard let root = link.root else {
      throw UsageError("this is the link of a stream, not of a file; write: freshet join '\(link)' --play")
    }
    output = try values.optional(Settings.fetchOutput) ?? .file(String(root.base64URL.prefix(16)))
    plays = try values.isOn(Settings.playsFile)
    // What is looked at while it comes is of use from its beginning on.
    isInOrder = try values.isOn(Settings.inOrder) || plays || output == .standardOutput
    seeds = try values.isOn(Settings.keepsSeeding)
    listen = try values.optional(Settings.listenAsViewer)
    membership = try MembershipFiles(values)
    common = try CommonOptions(values)
  }
}

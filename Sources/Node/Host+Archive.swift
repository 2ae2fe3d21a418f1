import Swarm
import Wire

extension Host {
  /// Says how a stream that was kept whole can be served for good.
  func tellRoot(
    of outlet: Outlet,
    chunkSize: Int,
    _ integrity: IntegrityMethod,
    _ report: (NodeEvent) -> Void
  ) {
    guard let path = outlet.wholeArchive else { return }
    guard chunkSize != WireFormat.variableChunkSize else {
      report(
        .sentence(
          "'\(path)' was not signed under a root hash: the stream's chunks varied in length, and those of a file do not"
        )
      )
      return
    }
    guard integrity == .unifiedMerkleTree else {
      report(.sentence("'\(path)' has no root hash, as the stream is not under a Unified Merkle Tree"))
      return
    }
    guard let root = endpoint.peers.first?.recordingRoot else {
      report(
        .sentence(
          "'\(path)' holds only the part of the stream that came while this peer was there, so it has no root hash "
            + "that was signed; freshet seed \(path) serves the part as a file like any other"
        )
      )
      return
    }
    report(
      .sentence(
        "kept whole, with the root hash \(root); serve it for good with: freshet seed \(path) --chunk-size \(chunkSize)"
      )
    )
  }
}

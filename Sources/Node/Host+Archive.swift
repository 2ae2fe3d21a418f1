import Swarm
import Wire

extension Host {
  /// Says how a stream that was kept whole can be served for good.
  func tellRoot(of outlet: Outlet, chunkSize: Int, _ report: (NodeEvent) -> Void) {
    guard let path = outlet.wholeArchive else { return }
    guard chunkSize != WireFormat.variableChunkSize else {
      report(
        .sentence(
          "'\(path)' was not signed under a root hash: the stream's chunks varied in length, and those of a file do not"
        )
      )
      return
    }
    guard let root = endpoint.peers.first?.recordingRoot else {
      report(
        .sentence("'\(path)' does not hold all of a stream under a Unified Merkle Tree: it has no root hash")
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

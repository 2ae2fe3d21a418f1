import Glibc
import PluginKit
import Testing
import Tree

func tree(_ text: String = "") throws -> () -> any Topology {
  let made = try Tree(parameters: Parameters(text, declared: Tree.manifest.parameters))
  return { made }
}

/// The depth of the flattest tree of `count` peers below a source, each with `fanout` children.
func flattest(_ count: Int, fanout: Int) -> Int {
  var depth = 0
  var reached = 0
  var level = 1
  while reached < count {
    level *= fanout
    reached += level
    depth += 1
  }
  return depth
}

/// What `FRESHET_SEEDS` asks for.
func seedCount() -> UInt64? {
  guard let text = unsafe getenv("FRESHET_SEEDS") else { return nil }
  return UInt64(unsafe String(cString: text))
}

/// What must be true of every world that has come to rest.
func expectHealth(_ world: World, _ sourceLocation: SourceLocation = #_sourceLocation) {
  let seed = world.seed
  #expect(world.unattached.isEmpty, "seed \(seed): \(world.unattached)", sourceLocation: sourceLocation)
  #expect(world.faults.isEmpty, "seed \(seed): \(world.faults.prefix(3))", sourceLocation: sourceLocation)
  for index in world.living {
    let host = world.hosts[index]
    #expect(
      world.children(of: index).count <= world.copies(of: index),
      "seed \(seed): host \(index)",
      sourceLocation: sourceLocation
    )
    #expect(
      host.depth == world.depth(of: index),
      "seed \(seed): host \(index) declares the wrong depth",
      sourceLocation: sourceLocation
    )
  }
}

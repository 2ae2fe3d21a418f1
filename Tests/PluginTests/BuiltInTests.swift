import Node
import PluginKit
import Support
import Testing

@Suite struct BuiltInTests {
  @Test func `what lies beside the executable is loaded like any plugin`() throws {
    let registry = try PluginRegistry.standard(searchPath: "")
    #expect(registry.refusals == [])
    #expect(Set(registry.names("topology")).isSuperset(of: ["chain", "tree"]))
    #expect(registry.names("transport").contains("udp"))
    #expect(registry.names("discovery").contains("static"))
    for plugin in registry.plugins {
      #expect(plugin.path.hasPrefix(Workshop.products + "/lib"))
      #expect(plugin.generation == PluginLoader.generation)
    }
  }

  @Test func `every built-in plugin can be made with its defaults written out`() throws {
    let registry = try PluginRegistry.standard(searchPath: "")
    for plugin in registry.plugins {
      let text = plugin.manifest.parameters.map { "\($0.name)=\($0.defaultText)" }.joined(separator: ",")
      let name = plugin.manifest.name
      switch plugin.kind {
      case "topology": _ = try registry.topology(name, text)
      case "transport": _ = try registry.transport(name, text)
      default: _ = try registry.discovery(name, text)
      }
    }
  }

  @Test func `an unknown name lists what there is`() throws {
    let registry = try PluginRegistry.standard(searchPath: "")
    let error = #expect(throws: PluginError.self) { try registry.topology("ring") }
    let names = registry.names("topology").sorted()
    let list = names.dropLast().joined(separator: ", ") + " and " + (names.last ?? "")
    #expect(error?.description == "there is no topology 'ring': there are only \(list)")
    // A name of another kind is no name of this.
    #expect(throws: PluginError.self) { try registry.topology("udp") }
    #expect(throws: PluginError.self) { try registry.transport("tree") }
    let none = #expect(throws: PluginError.self) { try PluginRegistry().discovery("static") }
    #expect(none?.description == "there is no discovery 'static': there is none at all")
  }

  @Test func `a folder that is not there is one sentence`() {
    let error = #expect(throws: PluginError.self) {
      try PluginRegistry.standard(searchPath: "/nowhere/at/all")
    }
    #expect(
      error?.description == "cannot look for plugins in /nowhere/at/all: no such file or directory"
    )
  }
}

// swift-tools-version: 6.2
import PackageDescription

let swiftSettings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .enableExperimentalFeature("Lifetimes"),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
]

/// The one library that the host and every plugin share at run time.
let pluginKit: Target.Dependency = .product(name: "PluginKit", package: "PluginKit")

/// A module below `Sources/`.
func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: swiftSettings)
}

/// A plugin is a target below `Plugins/<Kind>/` and a dynamic library of the same name.
func plugin(_ kind: String, _ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(
    name: name,
    dependencies: [pluginKit] + dependencies,
    path: "Plugins/\(kind)/\(name)",
    // A topology has a page beside it.
    exclude: kind == "Topologies" ? ["README.md"] : [],
    swiftSettings: swiftSettings
  )
}

/// The topologies that tests of swarms link.
let topologies: [Target.Dependency] = ["Tree", "Chain", "Striped", "SuperPeer", "Chord", "Mesh", "Seeded"]

/// What several topologies are made of: a module of its own below `Plugins/Topologies/`.
func part(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(
    name: name,
    dependencies: [pluginKit] + dependencies,
    path: "Plugins/Topologies/\(name)",
    swiftSettings: swiftSettings
  )
}

/// Tests of one module, in the folder `Tests/<Name>Tests`.
func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
  .testTarget(
    name: "\(name)Tests",
    dependencies: dependencies,
    resources: resources,
    swiftSettings: swiftSettings
  )
}

let package = Package(
  name: "freshet",
  products: [
    .executable(name: "freshet", targets: ["freshet"]),
    .library(name: "Tree", type: .dynamic, targets: ["Tree"]),
    .library(name: "Chain", type: .dynamic, targets: ["Chain"]),
    .library(name: "Striped", type: .dynamic, targets: ["Striped"]),
    .library(name: "SuperPeer", type: .dynamic, targets: ["SuperPeer"]),
    .library(name: "Pull", type: .dynamic, targets: ["Pull"]),
    .library(name: "Gossip", type: .dynamic, targets: ["Gossip"]),
    .library(name: "PushPull", type: .dynamic, targets: ["PushPull"]),
    .library(name: "Chord", type: .dynamic, targets: ["Chord"]),
    .library(name: "Mesh", type: .dynamic, targets: ["Mesh"]),
    .library(name: "Seeded", type: .dynamic, targets: ["Seeded"]),
    .library(name: "UDP", type: .dynamic, targets: ["UDP"]),
    .library(name: "Static", type: .dynamic, targets: ["Static"]),
    .library(name: "Wire", targets: ["Wire"]),
    .library(name: "Integrity", targets: ["Integrity"]),
    .library(name: "Swarm", targets: ["Swarm"]),
    .library(name: "MediaIO", targets: ["MediaIO"]),
    .library(name: "Inspect", targets: ["Inspect"]),
    .library(name: "JSON5", targets: ["JSON5"]),
  ],
  dependencies: [.package(path: "Sources/PluginKit")],
  targets: [
    .systemLibrary(
      name: "CFFmpeg",
      pkgConfig: "libavformat",
      providers: [.apt(["libavformat-dev", "libavcodec-dev", "libavdevice-dev", "libswscale-dev"])]
    ),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CPcap", pkgConfig: "libpcap", providers: [.apt(["libpcap-dev"])]),
    .target(name: "CSockets"),

    module("Text"),
    module("Threads"),
    module("JSON5"),
    module("Wire"),
    module("Crypto", ["COpenSSL"]),
    module("Integrity", ["Wire", "Crypto"]),
    module("Swarm", [pluginKit, "Wire", "Integrity"]),
    module("Net", [pluginKit, "CSockets"]),
    module("MediaIO", ["CFFmpeg", "Threads"]),
    module("Node", [pluginKit, "JSON5", "Text", "Swarm", "Wire", "Integrity", "Net", "MediaIO", "Threads"]),
    .target(
      name: "Lab",
      dependencies: [pluginKit, "JSON5", "Text", "Threads", "Swarm", "Wire", "Integrity"],
      resources: [.embedInCode("Scenarios/Files")],
      // A world of many peers asks at every step who else changes it: the tests, which are built for debugging, do.
      swiftSettings: swiftSettings
        + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]
    ),
    module("Emulator", [pluginKit, "CSockets", "JSON5", "Lab", "Net"]),
    .executableTarget(
      name: "NetworkEmulator",
      dependencies: [pluginKit, "Emulator", "Lab"],
      swiftSettings: swiftSettings
    ),
    module("Inspect", [pluginKit, "Text", "Swarm", "Wire", "Integrity"]),
    module("Capture", ["CPcap"]),
    .executableTarget(
      name: "freshet",
      dependencies: [
        pluginKit, "JSON5", "Lab", "Node", "Text", "Swarm", "Wire", "Integrity", "MediaIO", "Inspect",
        "Capture", "Net", "Emulator",
      ],
      resources: [.embedInCode("Template")],
      swiftSettings: swiftSettings
    ),

    // Linked into each topology that needs it; none of its types crosses the plugin border.
    part("Coding"),
    part("Branching", ["Coding"]),
    plugin("Topologies", "Tree", ["Branching"]),
    plugin("Topologies", "Chain", ["Branching"]),
    plugin("Topologies", "Striped", ["Branching"]),
    plugin("Topologies", "SuperPeer", ["Branching"]),
    part("Meshwork", ["Coding"]),
    plugin("Topologies", "Pull", ["Meshwork"]),
    plugin("Topologies", "Gossip", ["Meshwork"]),
    plugin("Topologies", "PushPull", ["Meshwork"]),
    plugin("Topologies", "Chord", ["Coding"]),
    part("Membership"),
    plugin("Topologies", "Mesh", ["Membership"]),
    plugin("Topologies", "Seeded", ["Coding"]),
    plugin("Transports", "UDP"),
    plugin("Discoveries", "Static"),

    .executableTarget(
      name: "WireBenchmarks",
      dependencies: ["CAllocations", "Wire"],
      swiftSettings: swiftSettings
    ),
    .executableTarget(
      name: "SwarmBenchmarks",
      dependencies: ["CAllocations", pluginKit, "Integrity", "Swarm", "Wire"],
      swiftSettings: swiftSettings
    ),
    .executableTarget(
      name: "IntegrityBenchmarks",
      dependencies: ["CAllocations", "COpenSSL", "Integrity", "Wire"],
      swiftSettings: swiftSettings
    ),
    .executableTarget(
      name: "LabBenchmarks",
      dependencies: [pluginKit, "Lab", "Tree"],
      swiftSettings: swiftSettings
    ),

    .target(name: "Support", path: "Tests/Support", swiftSettings: swiftSettings),
    .target(name: "CAllocations", path: "Tests/CAllocations"),
    tests("Text", ["Text"]),
    tests("Wire", ["CAllocations", "Support", "Wire"], resources: [.copy("Vectors")]),
    tests(
      "Integrity",
      ["CAllocations", "Support", "Crypto", "Integrity", "Wire"],
      resources: [.copy("Vectors")]
    ),
    tests("JSON5", ["Support", "JSON5"]),
    tests(
      "Swarm",
      ["Support", pluginKit, "Swarm", "Lab", "Wire", "Integrity", "Pull", "Gossip", "PushPull"] + topologies
    ),
    tests(
      "Lab",
      ["Support", pluginKit, "Lab", "Swarm", "Integrity", "Pull", "PushPull", "Gossip"] + topologies
    ),
    tests("Topology", ["Support", pluginKit, "Branching", "Membership", "Static"] + topologies),
    tests("Meshwork", ["Support", pluginKit, "Lab", "Meshwork", "Pull", "PushPull", "Gossip"]),
    tests("Net", ["CAllocations", "Support", pluginKit, "Net", "UDP"]),
    tests("Emulator", ["Support", pluginKit, "Emulator", "Lab", "Net"]),
    tests("Node", ["Support", pluginKit, "Node", "Net", "Swarm", "Integrity", "Tree"]),
    tests("MediaIO", ["CAllocations", "Support", "MediaIO", "Threads"]),
    tests("Plugin", ["Support", pluginKit, "Node"]),
    tests(
      "Inspect",
      ["Support", pluginKit, "Inspect", "Lab", "Swarm", "Wire", "Integrity", "Tree"]
    ),
    tests(
      "Command",
      ["Support", pluginKit, "freshet", "Emulator", "Swarm", "Integrity", "MediaIO", "Text", "Wire"]
    ),
  ]
)

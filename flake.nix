{
  description = "Entrypoint for the main container of a Pod that must end";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    rust-overlay = {
      url = "github:oxalica/rust-overlay";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs = { self, nixpkgs, rust-overlay }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      forEach = make: nixpkgs.lib.genAttrs systems (system:
        make (import nixpkgs { inherit system; overlays = [ rust-overlay.overlays.default ]; }));
      # Version and toolchain are said once, in these two files.
      manifest = (nixpkgs.lib.importTOML ./Cargo.toml).package;
      toolchain = pkgs: pkgs.rust-bin.fromRustupToolchainFile ./rust-toolchain.toml;
    in
    {
      packages = forEach (pkgs:
        let
          rust = toolchain pkgs;
          platform = pkgs.makeRustPlatform { cargo = rust; rustc = rust; };
        in
        rec {
          default = platform.buildRustPackage {
            pname = manifest.name;
            inherit (manifest) version;
            src = self;
            cargoLock.lockFile = ./Cargo.lock;
            buildInputs = [ pkgs.glibc.static ];
            # The alias of .cargo/config.toml: static, at a fixed address.
            buildPhase = "runHook preBuild; cargo --frozen static; runHook postBuild";
            installPhase = "install -Dm0555 target/release/proa $out/bin/proa";
            # The tests want a network of their own; .ci/run has them.
            doCheck = false;
            meta = {
              inherit (manifest) description;
              license = with pkgs.lib.licenses; [ mit asl20 ];
              mainProgram = "proa";
            };
          };
          image = pkgs.dockerTools.buildImage {
            name = "proa";
            tag = manifest.version;
            copyToRoot = pkgs.runCommand "root" { } "install -Dm0555 ${default}/bin/proa $out/proa";
            config = { Entrypoint = [ "/proa" ]; User = "65532:65532"; };
          };
        });

      devShells = forEach (pkgs: {
        default = pkgs.mkShell {
          packages = [ (toolchain pkgs) pkgs.cargo-deny pkgs.just pkgs.kubectl pkgs.skaffold ];
        };
      });
    };
}

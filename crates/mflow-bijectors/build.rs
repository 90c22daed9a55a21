//! Compiles the CUDA kernels to PTX. Without the feature `cuda` there is nothing to do.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "cuda")]
    compile();
}

#[cfg(feature = "cuda")]
#[expect(clippy::expect_used, reason = "a build without kernels must stop")]
fn compile() {
    println!("cargo::rerun-if-changed=src/kernel/cuda");
    let folder = std::env::var("OUT_DIR").expect("cargo sets it");
    let kernels = cudaforge::KernelBuilder::new()
        .source_dir("src/kernel/cuda")
        .arg("-std=c++17")
        .arg("-O3")
        .build_ptx()
        .expect("nvcc of a CUDA toolkit compiles the kernels");
    kernels.write(std::path::Path::new(&folder).join("ptx.rs")).expect("a file for the kernels");
}

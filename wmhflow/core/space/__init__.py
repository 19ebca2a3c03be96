"""Where voxels lie: affines, grids, resampling."""

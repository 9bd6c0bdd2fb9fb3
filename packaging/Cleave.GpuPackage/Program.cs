// The package's programs are cleave, cleave-worker, cleave-gpu-bench and cleave-checkpoint-writer; this one only makes them one publish.
return 0;

;; Shares memory between threads, which the sandbox does not have.
;; must: not-a-component
(component
  (core module $m
    (memory 1 1 shared)
    (func (export "attack") (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))))
  (core instance $i (instantiate $m))
  (func (export "attack") (canon lift (core func $i "attack"))))

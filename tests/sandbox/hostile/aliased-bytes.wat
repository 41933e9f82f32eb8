;; Three million byte strings that all lie at the same megabyte.
;; must: skill-output
(component
  (core module $m
    (memory (export "memory") 400)
    (func (export "attack") (result i32) (local $at i32)
      (local.set $at (i32.const 2097152))
      (loop
        (i32.store (local.get $at) (i32.const 1048576))
        (i32.store offset=4 (local.get $at) (i32.const 1000000))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if 0 (i32.lt_u (local.get $at) (i32.const 26214400))))
      (i32.store (i32.const 16) (i32.const 2097152))
      (i32.store (i32.const 20) (i32.const 3000000))
      (i32.const 16)))
  (core instance $i (instantiate $m))
  (func (export "attack") (result (list (list u8)))
    (canon lift (core func $i "attack") (memory (core memory $i "memory")))))

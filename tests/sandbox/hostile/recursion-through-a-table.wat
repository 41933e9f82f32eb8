;; Two functions call each other through a table, with frames as large as they get.
;; must: skill-trapped
(component
  (core module $m
    (type $f (func (param i64 i64 i64 i64 i64 i64 i64 i64 v128 v128 v128 v128) (result v128)))
    (table funcref (elem $a $b))
    (func $a (type $f)
      (i32x4.add
        (call_indirect (type $f)
          (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          (local.get 6) (local.get 7) (local.get 8) (local.get 9) (local.get 10) (local.get 11)
          (i32.const 1))
        (local.get 11)))
    (func $b (type $f)
      (i32x4.add
        (call_indirect (type $f)
          (local.get 7) (local.get 6) (local.get 5) (local.get 4) (local.get 3) (local.get 2)
          (local.get 1) (local.get 0) (local.get 11) (local.get 10) (local.get 9) (local.get 8)
          (i32.const 0))
        (local.get 8)))
    (func (export "attack")
      (drop (call $a
        (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5) (i64.const 6) (i64.const 7) (i64.const 8)
        (v128.const i64x2 1 2) (v128.const i64x2 3 4) (v128.const i64x2 5 6) (v128.const i64x2 7 8)))))
  (core instance $i (instantiate $m))
  (func (export "attack") (canon lift (core func $i "attack"))))

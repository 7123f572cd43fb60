//! What writes front operators.

/// Writes an operator that hands its work to one of several, chosen by its parameter `method`.
///
/// After the parameters come the methods, each with its name, the type of the operator and how to make one from
/// the front operator. Everything else is the same for all: the front operator saves what the method saves, and
/// its scaling is the method's.
///
/// Last comes the operator that has the hard form of all methods, to the last digit and whatever is tied; where
/// none is named, each method has its own.
macro_rules! front {
    (
        $(#[$front_meta:meta])*
        pub struct $Front:ident($name:literal, $signature:literal, $inputs:literal) {
            $($(#[doc = $field_doc:literal])* $field:ident: $t:ty = $default:expr, $domain:ident $(($($bound:expr),*))?;)*
        }
        $(#[$method_meta:meta])*
        pub enum $Method:ident {
            $($(#[doc = $doc:literal])* $Variant:ident = $text:literal, $Operator:ty: |$front:ident| $make:expr;)*
        }
        $(hard $Hard:ty: |$same:ident| $discrete:expr;)?
    ) => {
        supple_core::choices! {
            $(#[$method_meta])*
            pub enum $Method { $($(#[doc = $doc])* $Variant = $text),* }
        }

        supple_core::params! {
            $(#[$front_meta])*
            pub struct $Front {
                /// Which relaxation.
                method: $Method = $Method::default(), Any;
                $($(#[doc = $field_doc])* $field: $t = $default, $domain $(($($bound),*))?;)*
            }
        }

        /// What the method saved.
        #[derive(Default)]
        pub enum Saved<T: supple_core::Real> {
            #[doc(hidden)]
            #[default]
            Nothing,
            $(#[doc(hidden)] $Variant(<$Operator as supple_core::Operator<$inputs>>::Saved<T>)),*
        }

        impl supple_core::Operator<$inputs> for $Front {
            const NAME: &'static str = $name;
            const SIGNATURE: &'static str = $signature;
            const GRADIENT: supple_core::Gradient = supple_core::Gradient::AlmostEverywhere;
            type Saved<T: supple_core::Real> = Saved<T>;

            fn validate(&self, sizes: &[usize]) -> Result<(), supple_core::Error> {
                supple_core::Params::check(self, $name)?;
                match self.method {
                    $($Method::$Variant => {
                        let $front = self;
                        let operator: $Operator = $make;
                        supple_core::Operator::<$inputs>::validate(&operator, sizes)
                    })*
                }
            }

            fn work(&self, sizes: &[usize]) -> usize {
                match self.method {
                    $($Method::$Variant => {
                        let $front = self;
                        let operator: $Operator = $make;
                        supple_core::Operator::<$inputs>::work(&operator, sizes)
                    })*
                }
            }

            fn scaling(&self) -> Option<supple_core::Scaling<$inputs>> {
                match self.method {
                    $($Method::$Variant => {
                        let $front = self;
                        let operator: $Operator = $make;
                        supple_core::Operator::<$inputs>::scaling(&operator)
                    })*
                }
            }

            fn forward<T: supple_core::Real>(
                &self,
                at: supple_core::Args<'_, T, $inputs>,
                y: [&mut [T]; 1],
                saved: &mut Saved<T>,
                scratch: &mut supple_core::Scratch<T>,
            ) -> Result<(), supple_core::Fault> {
                match self.method {
                    $($Method::$Variant => {
                        let $front = self;
                        let operator: $Operator = $make;
                        let mut own = Default::default();
                        let result =
                            supple_core::Operator::<$inputs>::forward(&operator, at, y, &mut own, scratch);
                        *saved = Saved::$Variant(own);
                        result
                    })*
                }
            }

            fn vjp<T: supple_core::Real>(
                &self,
                at: supple_core::Point<'_, T, Saved<T>, $inputs>,
                dy: [&[T]; 1],
                dx: [&mut [T]; $inputs],
                scratch: &mut supple_core::Scratch<T>,
            ) {
                match at.saved {
                    Saved::Nothing => {}
                    $(Saved::$Variant(saved) => {
                        let $front = self;
                        let operator: $Operator = $make;
                        supple_core::Operator::<$inputs>::vjp(&operator, at.with(saved), dy, dx, scratch);
                    })*
                }
            }

            fn lift<F: supple_core::Float>(
                &self,
                at: supple_core::Args<'_, supple_core::Dual<F>, $inputs>,
                values: supple_core::Point<'_, F, Saved<F>, $inputs>,
                y: [&mut [supple_core::Dual<F>]; 1],
                saved: &mut Saved<supple_core::Dual<F>>,
                scratch: &mut supple_core::Scratch<supple_core::Dual<F>>,
            ) -> Result<(), supple_core::Fault> {
                match values.saved {
                    Saved::Nothing => supple_core::Operator::<$inputs>::forward(self, at, y, saved, scratch),
                    $(Saved::$Variant(found) => {
                        let $front = self;
                        let operator: $Operator = $make;
                        let (values, mut own) = (values.with(found), Default::default());
                        let result = supple_core::Operator::<$inputs>::lift(
                            &operator, at, values, y, &mut own, scratch,
                        );
                        *saved = Saved::$Variant(own);
                        result
                    })*
                }
            }

            front! {
                @hard $inputs, $Method [$($Hard: |$same| $discrete)?]
                $($Variant, $Operator: |$front| $make;)*
            }
        }
    };
    (@hard $inputs:literal, $Method:ident [$Hard:ty: |$front:ident| $make:expr] $($methods:tt)*) => {
        fn hard<T: supple_core::Float>(
            &self,
            at: supple_core::Args<'_, T, $inputs>,
            y: [&mut [T]; 1],
            scratch: &mut supple_core::Scratch<T>,
        ) -> Result<(), supple_core::Fault> {
            let $front = self;
            let operator: $Hard = $make;
            supple_core::Operator::<$inputs>::hard(&operator, at, y, scratch)
        }
    };
    (
        @hard $inputs:literal, $Method:ident []
        $($Variant:ident, $Operator:ty: |$front:ident| $make:expr;)*
    ) => {
        fn hard<T: supple_core::Float>(
            &self,
            at: supple_core::Args<'_, T, $inputs>,
            y: [&mut [T]; 1],
            scratch: &mut supple_core::Scratch<T>,
        ) -> Result<(), supple_core::Fault> {
            match self.method {
                $($Method::$Variant => {
                    let $front = self;
                    let operator: $Operator = $make;
                    supple_core::Operator::<$inputs>::hard(&operator, at, y, scratch)
                })*
            }
        }

        fn hard_at<T: supple_core::Float>(
            &self,
            at: supple_core::Args<'_, T, $inputs>,
            saved: &Saved<T>,
            y: [&mut [T]; 1],
            scratch: &mut supple_core::Scratch<T>,
        ) -> Result<(), supple_core::Fault> {
            match saved {
                Saved::Nothing => supple_core::Operator::<$inputs>::hard(self, at, y, scratch),
                $(Saved::$Variant(saved) => {
                    let $front = self;
                    let operator: $Operator = $make;
                    supple_core::Operator::<$inputs>::hard_at(&operator, at, saved, y, scratch)
                })*
            }
        }
    };
}

/// Writes an operator that is another one with its parameters spelt otherwise.
macro_rules! alias {
    ($Front:ident($name:literal, $signature:literal), $Operator:ty: |$front:ident| $make:expr) => {
        impl supple_core::Operator for $Front {
            const NAME: &'static str = $name;
            const SIGNATURE: &'static str = $signature;
            const GRADIENT: supple_core::Gradient = supple_core::Gradient::AlmostEverywhere;
            type Saved<T: supple_core::Real> = <$Operator as supple_core::Operator>::Saved<T>;

            fn validate(&self, sizes: &[usize]) -> Result<(), supple_core::Error> {
                supple_core::Params::check(self, $name)?;
                self.inner().validate(sizes)
            }

            fn work(&self, sizes: &[usize]) -> usize {
                self.inner().work(sizes)
            }

            fn scaling(&self) -> Option<supple_core::Scaling> {
                self.inner().scaling()
            }

            fn forward<T: supple_core::Real>(
                &self,
                at: supple_core::Args<'_, T>,
                y: [&mut [T]; 1],
                saved: &mut Self::Saved<T>,
                scratch: &mut supple_core::Scratch<T>,
            ) -> Result<(), supple_core::Fault> {
                self.inner().forward(at, y, saved, scratch)
            }

            fn vjp<T: supple_core::Real>(
                &self,
                at: supple_core::Point<'_, T, Self::Saved<T>>,
                dy: [&[T]; 1],
                dx: [&mut [T]; 1],
                scratch: &mut supple_core::Scratch<T>,
            ) {
                self.inner().vjp(at, dy, dx, scratch);
            }

            fn lift<F: supple_core::Float>(
                &self,
                at: supple_core::Args<'_, supple_core::Dual<F>>,
                values: supple_core::Point<'_, F, Self::Saved<F>>,
                y: [&mut [supple_core::Dual<F>]; 1],
                saved: &mut Self::Saved<supple_core::Dual<F>>,
                scratch: &mut supple_core::Scratch<supple_core::Dual<F>>,
            ) -> Result<(), supple_core::Fault> {
                self.inner().lift(at, values, y, saved, scratch)
            }

            fn hard<T: supple_core::Float>(
                &self,
                at: supple_core::Args<'_, T>,
                y: [&mut [T]; 1],
                scratch: &mut supple_core::Scratch<T>,
            ) -> Result<(), supple_core::Fault> {
                self.inner().hard(at, y, scratch)
            }

            fn hard_at<T: supple_core::Float>(
                &self,
                at: supple_core::Args<'_, T>,
                saved: &Self::Saved<T>,
                y: [&mut [T]; 1],
                scratch: &mut supple_core::Scratch<T>,
            ) -> Result<(), supple_core::Fault> {
                self.inner().hard_at(at, saved, y, scratch)
            }
        }

        impl $Front {
            fn inner(&self) -> $Operator {
                let $front = self;
                $make
            }
        }
    };
}

pub(super) use {alias, front};
